/** How far one check of a commit has come. */
export type CheckProgress =
  | { state: 'waiting' | 'running' }
  | { state: 'completed'; problems: number }
  /** The reason is a sentence without its subject: `was not done within 600 s`. */
  | { state: 'failed'; reason: string };

export type CheckOfCommit = CheckProgress & { plugin: string };

/** The commit status `forgeflow`. */
export interface ChecksStatus {
  state: 'pending' | 'success' | 'failure' | 'error';
  description: string;
}

export const CHECKS_STATUS_NAME = 'forgeflow';

/** GitLab knows no difference between what was found wrong and what went wrong; the description tells. */
export const GITLAB_STATE = { pending: 'pending', success: 'success', failure: 'failed', error: 'failed' } as const;

/** The longest description that GitLab takes, in characters. */
const DESCRIPTION_LIMIT = 255;

/**
 * What all checks of a commit together come to; null where there are none, and nothing is to be said. Nothing is final
 * until all are over. A check that could not be run outweighs what others found: nobody knows what it would have found.
 */
export function statusOfChecks(checks: readonly CheckOfCommit[]): ChecksStatus | null {
  if (checks.length === 0) return null;
  const over = checks.filter(({ state }) => state === 'completed' || state === 'failed').length;
  if (over < checks.length) return { state: 'pending', description: `${over} of ${checks.length} checks are done` };
  const failed = checks.flatMap((check) => (check.state === 'failed' ? [check] : []));
  const [first] = failed;
  if (first !== undefined) {
    const others = failed.length === 1 ? '' : ` (and ${failed.length - 1} more)`;
    return { state: 'error', description: shortened(`${first.plugin} ${first.reason}`, others) };
  }
  const problems = checks.reduce((sum, check) => sum + (check.state === 'completed' ? check.problems : 0), 0);
  return { state: problems === 0 ? 'success' : 'failure', description: `${issues(problems)} detected` };
}

function issues(count: number): string {
  if (count === 0) return 'No issues';
  return count === 1 ? '1 issue' : `${count} issues`;
}

/** On one line, and no longer than GitLab takes it; the ending is kept whole. */
export function shortened(text: string, ending = ''): string {
  const characters = Array.from(text.replace(/\s+/g, ' '));
  const room = DESCRIPTION_LIMIT - ending.length;
  return (characters.length <= room ? characters.join('') : `${characters.slice(0, room - 1).join('')}…`) + ending;
}
