/** How far a commit has come on its way to our disk. */
export const COMMIT_STATES = ['queued', 'in_progress', 'completed', 'errored'] as const;
export type CommitState = (typeof COMMIT_STATES)[number];

/**
 * What a commit's checks come to: `unknown` before its manifest was read, `not_configured` where it has none, or no checks
 * in it.
 */
export const CHECKS_STATES = ['unknown', 'not_configured', 'pending', 'success', 'failure', 'error'] as const;
export type ChecksState = (typeof CHECKS_STATES)[number];

/** One check of a commit; see `check-status`. */
export const CHECK_STATES = ['waiting', 'running', 'completed', 'failed'] as const;
export type CheckState = (typeof CHECK_STATES)[number];
