import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { recordCovered, recordInstalled, recordNotInstalled } from '../src/database/gitlab-hook-records.ts';
import { type HookRecord, readHook, withHookLock } from '../src/database/gitlab-hooks.ts';
import { recheckDelayMs } from '../src/domain/hook-state.ts';
import type { Interruption } from '../src/domain/install-run.ts';
import { interruptionOf } from './gitlab-access.ts';
import { bringIntoPlace, type HookWork, removeHooks } from './gitlab-hook.ts';
import { faultOf } from './gitlab-hook-faults.ts';

/** Asks GitLab, when one of those is done that it is asked about now; or no more, since the page is over. */
export type Turn = <T>(ask: () => Promise<T>) => Promise<T | 'over'>;

export interface Visit {
  runId: string;
  /** The workflow's clock, ISO 8601. */
  at: string;
  /** Whether one that is not due any more is passed over. */
  onlyDue: boolean;
}

/**
 * Sees to one hook, once in a run, and writes down what came of it.
 * @returns `busy` when another run has it in hand; `unanswered` when GitLab gave no answer; what ends the run, where it does
 */
export async function visitHook(
  db: ForgeflowDatabase,
  id: string,
  { runId, at, onlyDue }: Visit,
  context: Omit<HookWork, 'db'>,
  inTurn: Turn,
): Promise<Interruption | 'done' | 'unanswered' | 'busy' | 'over'> {
  const seen = { runId, at: new Date(at) };
  return withHookLock(db, id, async (connection) => {
    const work: HookWork = { ...context, db: connection };
    const record = await readHook(connection, id);
    if (record === undefined || record.lastRunId === runId) return 'done';
    // Another run has seen to it since the page was listed, and it is that one's to count.
    if (onlyDue && record.dueAt > seen.at) return 'done';
    try {
      const writeDown = await inTurn(() => see(record, seen, work));
      if (writeDown === 'over') return 'over';
      await writeDown();
      return 'done';
    } catch (error) {
      return await recordFault(record, seen, error, work);
    }
  });
}

/** @returns what is to be done when it is no longer its turn */
async function see(
  record: HookRecord,
  seen: { runId: string; at: Date },
  work: HookWork,
): Promise<() => Promise<unknown>> {
  if (record.covered) {
    await removeHooks(work, record);
    return () => recordCovered(work.db, record.id, seen);
  }
  const { outcome, hook, secretId } = await bringIntoPlace(work, record);
  const { verifyMs } = work.settings;
  const isSending = hook.alertStatus === null || hook.alertStatus === 'executable';
  const delayMs = recheckDelayMs({ state: isSending ? 'installed' : 'error', attempts: 1, verifyMs });
  const installed = {
    ...seen,
    outcome,
    secretId,
    gitlabHookId: hook.id,
    alertStatus: hook.alertStatus,
    disabledUntil: hook.disabledUntil === null ? null : new Date(hook.disabledUntil),
    dueAt: new Date(seen.at.getTime() + delayMs),
  };
  return () => recordInstalled(work.db, record.id, installed);
}

async function recordFault(
  record: HookRecord,
  { runId, at }: { runId: string; at: Date },
  error: unknown,
  { db: connection, settings, signal }: HookWork,
): Promise<Interruption | 'done' | 'unanswered'> {
  signal.throwIfAborted(); // what we broke off ourselves says nothing of GitLab
  const interruption = interruptionOf(error);
  if (interruption?.endedEarly === 'rate_limited') return interruption; // it has not had its turn
  const fault = faultOf(error);
  if (fault === undefined) throw error;
  const { state, reason } = fault;
  // Only some editions of GitLab have hooks of groups, and only an Owner may make them: without, its projects have theirs.
  const isNoMatter = record.owner.kind === 'group' && (state === 'not_found' || state === 'no_access');
  const isOver = state === null || state === 'invalid_credentials'; // the next run looks again
  const delayMs = isOver ? 0 : recheckDelayMs({ state, attempts: record.failures + 1, verifyMs: settings.verifyMs });
  await recordNotInstalled(connection, record.id, {
    runId,
    at,
    state,
    outcome: isNoMatter ? null : state === null || state === 'error' ? 'failed' : 'blocked',
    reason,
    dueAt: new Date(at.getTime() + delayMs),
  });
  return interruption ?? (state === null ? 'unanswered' : 'done');
}
