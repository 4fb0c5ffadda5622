import { type CheckOfCommit, statusOfChecks } from './check-status.ts';
import type { ChecksState, CommitState } from './commit.ts';

export interface CheckedCommit {
  state: CommitState;
  /** Why it could not be cloned. */
  failure: string | null;
  checksState: ChecksState;
  checksDetail: string | null;
  checks: readonly CheckOfCommit[];
}

/** What is to say of a commit's checks, in the words that GitLab shows; null where there is nothing. */
export function textOfChecks({ state, failure, checksState, checksDetail, checks }: CheckedCommit): string | null {
  if (state === 'errored') return failure ?? 'it could not be cloned';
  if (state !== 'completed') return state === 'queued' ? 'waits to be cloned' : 'is being cloned';
  if (checksState === 'unknown') return null;
  if (checksState === 'not_configured') return 'no checks are configured';
  return checksDetail ?? statusOfChecks(checks)?.description ?? null;
}
