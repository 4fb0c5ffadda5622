import { sql } from 'kysely';
import type { Mergeability } from '../domain/merge-state.ts';
import type { ReviewDecision } from '../domain/review-decision.ts';
import type { StatusState } from '../domain/status-rollup.ts';
import type { Database } from './connection.ts';

/**
 * Their head or base is not what it was. What is being computed now will not be written; whoever calls asks for it anew.
 * In the order of their ids, so that two who do this at once do not wait for one another in a circle.
 */
export async function forgetMergeability(db: Database, ids: readonly number[]): Promise<void> {
  await sql`
    with locked as (
      select id from merge_requests where id = any(${ids}::int[]) order by id for no key update
    )
    update merge_requests set revision = revision + 1, merge_state = 'unknown', mergeable = null, rebaseable = null,
      ahead = null, behind = null, changed_files = null, additions = null, deletions = null, computed_head = null,
      computed_base = null, mergeability_at = null
    from locked where merge_requests.id = locked.id
  `.execute(db);
}

/** Their head is not what it was: approvals may be reset with it, and statuses are of another commit. */
export async function forgetDecisions(db: Database, ids: readonly number[]): Promise<void> {
  await sql`
    with locked as (
      select id from merge_requests where id = any(${ids}::int[]) order by id for no key update
    )
    update merge_requests set review_decision = null, status_rollup = null, decided_head = null, decided_at = null
    from locked where merge_requests.id = locked.id
  `.execute(db);
}

export interface ComputedMergeability extends Mergeability {
  /** These are null where a branch is missing. */
  ahead: number | null;
  behind: number | null;
  changedFiles: number | null;
  additions: number | null;
  deletions: number | null;
  headSha: string | null;
  baseSha: string | null;
  at: Date;
}

/** @returns false where it was not written: something has changed since that revision */
export async function writeMergeability(
  db: Database,
  { id, revision }: { id: number; revision: number },
  computed: ComputedMergeability,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('merge_requests')
    .set({
      merge_state: computed.state,
      mergeable: computed.mergeable,
      rebaseable: computed.rebaseable,
      ahead: computed.ahead,
      behind: computed.behind,
      changed_files: computed.changedFiles,
      additions: computed.additions,
      deletions: computed.deletions,
      computed_head: computed.headSha,
      computed_base: computed.baseSha,
      mergeability_at: computed.at,
    })
    .where('id', '=', id)
    .where('revision', '=', revision)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

export interface ComputedDecision {
  review: ReviewDecision | null;
  statuses: StatusState | null;
  at: Date;
}

/**
 * @param of the head that the decision is about
 * @returns false where it was not written: that is not its head any more
 */
export async function writeDecision(
  db: Database,
  of: { id: number; headSha: string | null },
  { review, statuses, at }: ComputedDecision,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('merge_requests')
    .set({ review_decision: review, status_rollup: statuses, decided_head: of.headSha, decided_at: at })
    .where('id', '=', of.id)
    .where('head_sha', 'is not distinct from', of.headSha)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}
