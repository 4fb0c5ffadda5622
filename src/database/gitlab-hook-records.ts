import { sql } from 'kysely';
import type { AlertStatus, BlockedState, HookOutcome } from '../domain/hook-state.ts';
import type { Database } from './connection.ts';
import { isCovered } from './gitlab-coverage.ts';

/** How much of a reason is kept, in characters. */
const REASON_LIMIT = 512;

export interface HookSecretRecord {
  secretId: string;
  sealed: Buffer;
  tokenHash: Buffer;
}

/**
 * Keeps a new secret, before any request carries it. From then on it is in doubt, and its row due, until it is known to have
 * arrived; the one before goes on opening the ingress.
 * @throws Error when the stored one is in doubt itself, which only somebody who works on the same hook can have brought
 * about since it was read: it would be lost
 */
export async function storeHookSecret(db: Database, id: string, secret: HookSecretRecord): Promise<void> {
  const { secretId, sealed, tokenHash } = secret;
  const { numUpdatedRows } = await db
    .updateTable('gitlab_hooks')
    .set({
      secret_id: secretId,
      secret_sealed: sealed,
      token_hash: tokenHash,
      previous_token_hash: sql`coalesce(token_hash, previous_token_hash)`,
      secret_arrived: false,
      state: sql`case when state = 'covered' then 'pending' else state end`,
      due_at: sql`least(due_at, now())`,
    })
    .where('id', '=', id)
    .where((where) => where.or([where('secret_id', 'is', null), where('secret_arrived', '=', true)]))
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) throw new Error(`the hook ${id} is gone, or another secret for it was stored meanwhile`);
}

export interface InstalledHook {
  runId: string;
  outcome: HookOutcome;
  /** The secret that was sent, or that the hook was found to have. */
  secretId: string;
  gitlabHookId: number;
  alertStatus: AlertStatus | null;
  disabledUntil: Date | null;
  at: Date;
  dueAt: Date;
}

/**
 * Notes that the hook is in place. One that its group's hook has come to cover meanwhile is due at once.
 * @returns false, and nothing is noted, when another secret was stored since: then it is due all the same
 */
export async function recordInstalled(db: Database, id: string, installed: InstalledHook): Promise<boolean> {
  const { runId, outcome, secretId, gitlabHookId, alertStatus, disabledUntil, at, dueAt } = installed;
  const { numUpdatedRows } = await db
    .updateTable('gitlab_hooks')
    .set({
      state: 'installed',
      reason: null,
      gitlab_hook_id: gitlabHookId,
      secret_arrived: true,
      alert_status: alertStatus,
      disabled_until: disabledUntil,
      installed_at: sql`coalesce(installed_at, ${at})`,
      last_checked_at: at,
      due_at: sql`case when ${isCovered()} then ${at}::timestamptz else ${dueAt}::timestamptz end`,
      failures: 0,
      last_run_id: runId,
      last_outcome: outcome,
    })
    .where('id', '=', id)
    .where('secret_id', '=', secretId)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export interface NotInstalledHook {
  runId: string;
  /** Null: it does not count. */
  outcome: HookOutcome | null;
  /** Null: as it was; it says nothing of the hook that somebody did not answer. */
  state: BlockedState | null;
  /** One sentence, without secrets. */
  reason: string;
  at: Date;
  dueAt: Date;
}

export async function recordNotInstalled(db: Database, id: string, failed: NotInstalledHook): Promise<void> {
  const { runId, outcome, state, reason, at, dueAt } = failed;
  await db
    .updateTable('gitlab_hooks')
    .set({
      ...(state !== null && { state }),
      reason: reason.replaceAll('\0', '').slice(0, REASON_LIMIT),
      last_checked_at: at,
      due_at: dueAt,
      failures: sql`failures + 1`,
      last_run_id: runId,
      last_outcome: outcome,
    })
    .where('id', '=', id)
    .execute();
}

/**
 * Notes that a repository has no hook of ours, since that of its group sends its events. Its last token goes on opening the
 * ingress, for what is on its way. Where the group's hook was lost meanwhile, the repository is due at once.
 */
export async function recordCovered(
  db: Database,
  id: string,
  { runId, at }: { runId: string; at: Date },
): Promise<void> {
  await db
    .updateTable('gitlab_hooks')
    .set({
      state: sql`case when ${isCovered()} then 'covered' else 'pending' end`,
      reason: null,
      gitlab_hook_id: null,
      secret_id: null,
      secret_sealed: null,
      secret_arrived: false,
      token_hash: null,
      previous_token_hash: sql`coalesce(token_hash, previous_token_hash)`,
      alert_status: null,
      disabled_until: null,
      last_checked_at: at,
      due_at: at,
      failures: 0,
      last_run_id: runId,
      last_outcome: 'covered',
    })
    .where('id', '=', id)
    .execute();
}
