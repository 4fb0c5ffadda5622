import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MergeFacts, mergeability, type TrialMerge, UNKNOWN_MERGEABILITY } from '../../src/domain/merge-state.ts';

const trial = (given: Partial<TrialMerge> = {}): TrialMerge => ({
  isClean: true,
  ahead: 1,
  behind: 0,
  hasMergeCommits: false,
  ...given,
});
const facts = (given: Partial<MergeFacts> = {}): MergeFacts => ({
  isDraft: false,
  baseExists: true,
  headExists: true,
  trial: trial(),
  ...given,
});

describe('mergeability', () => {
  test.each<[string, MergeFacts, object]>([
    ['clean', facts(), { state: 'clean', mergeable: true, rebaseable: true }],
    ['behind', facts({ trial: trial({ behind: 3 }) }), { state: 'behind', mergeable: true, rebaseable: true }],
    [
      'a conflict',
      facts({ trial: trial({ isClean: false }) }),
      { state: 'dirty', mergeable: false, rebaseable: false },
    ],
    [
      'a conflict, behind',
      facts({ trial: trial({ isClean: false, behind: 3 }) }),
      { state: 'dirty', mergeable: false, rebaseable: false },
    ],
    [
      'merge commits',
      facts({ trial: trial({ hasMergeCommits: true }) }),
      { state: 'clean', mergeable: true, rebaseable: false },
    ],
    ['nothing to merge', facts({ trial: trial({ ahead: 0 }) }), { state: 'clean', mergeable: true, rebaseable: true }],
    ['a draft', facts({ isDraft: true }), { state: 'draft', mergeable: true, rebaseable: true }],
    [
      'a draft with a conflict',
      facts({ isDraft: true, trial: trial({ isClean: false }) }),
      { state: 'draft', mergeable: false, rebaseable: false },
    ],
    ['no base', facts({ baseExists: false, trial: null }), { state: 'dirty', mergeable: false, rebaseable: false }],
    ['no head', facts({ headExists: false, trial: null }), { state: 'dirty', mergeable: false, rebaseable: false }],
    [
      'a draft without a head',
      facts({ isDraft: true, headExists: false, trial: null }),
      { state: 'dirty', mergeable: false, rebaseable: false },
    ],
  ])('J6: %s', (_, given, expected) => {
    expect(mergeability(given)).toEqual(expected);
  });

  test('J6: before the first computation nothing is known', () => {
    expect(UNKNOWN_MERGEABILITY).toEqual({ state: 'unknown', mergeable: null, rebaseable: null });
  });

  test('J6: the first that applies, whatever the facts', () => {
    const trials = fc.record({
      isClean: fc.boolean(),
      ahead: fc.nat(3),
      behind: fc.nat(3),
      hasMergeCommits: fc.boolean(),
    });
    const anyFacts = fc.record({
      isDraft: fc.boolean(),
      baseExists: fc.boolean(),
      headExists: fc.boolean(),
      trial: fc.option(trials, { freq: 10 }),
    });
    fc.assert(
      fc.property(anyFacts, (given) => {
        const missing = !given.baseExists || !given.headExists || given.trial === null;
        const applies: [string, boolean][] = [
          ['dirty', missing],
          ['draft', given.isDraft],
          ['dirty', given.trial?.isClean === false],
          ['behind', (given.trial?.behind ?? 0) > 0],
          ['clean', true],
        ];
        const result = mergeability(given);
        expect(result.state).toBe(applies.find(([, does]) => does)?.[0]);
        expect(result.mergeable).toBe(!missing && given.trial?.isClean === true);
        expect(result.rebaseable).toBe(result.mergeable === true && !given.trial?.hasMergeCommits);
      }),
      { numRuns: 1_000 },
    );
  });
});
