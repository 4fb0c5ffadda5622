import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The longest first. A file that is not here takes less than half a minute. */
const LONGEST = [
  'faults/services-away',
  'cli/commands',
  'faults/install-killed',
  'faults/bus-chaos',
  'workflows/gitlab-events-to-jobs',
  'workflows/install-rate-limit',
  'cli/dev',
  'faults/commit-killed',
  'git/merge-property',
  'cli/gitlab',
  'git/broken-clones',
  'workflows/track-repository',
  'git/clones',
  'activities/checks',
  'client/repositories',
];

/**
 * The order of the test files: no long one is left to run alone at the end. Vitest itself goes by the durations of the run
 * before, of which a fresh clone knows none, and then by the files' sizes, which say nothing.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rankOf = ({ moduleId }: TestSpecification): number => {
      const rank = LONGEST.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`));
      return rank < 0 ? LONGEST.length : rank;
    };
    return (await super.sort(files)).sort((one, other) => rankOf(one) - rankOf(other));
  }
}
