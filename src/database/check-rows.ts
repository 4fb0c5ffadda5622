import type { CheckOfCommit } from '../domain/check-status.ts';
import type { CheckState } from '../domain/commit.ts';

/** A row of `checks`, as far as it says how far the check has come. */
export interface CheckRow {
  plugin: string;
  state: CheckState;
  problems: number | null;
  reason: string | null;
}

export function checkOfRow({ plugin, state, problems, reason }: CheckRow): CheckOfCommit {
  if (state === 'completed') return { plugin, state, problems: problems ?? 0 };
  if (state === 'failed') return { plugin, state, reason: reason ?? 'failed' };
  return { plugin, state };
}
