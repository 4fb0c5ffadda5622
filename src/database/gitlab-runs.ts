import { type Selectable, sql } from 'kysely';
import { HOOK_OUTCOMES, type HookOutcome } from '../domain/hook-state.ts';
import type { EndedEarly, OutcomeCounts } from '../domain/install-run.ts';
import type { Database } from './connection.ts';
import { countDueHooks } from './gitlab-hooks.ts';
import type { GitlabRunTable } from './tables.ts';

/** How much of an error is kept, in characters. */
const ERROR_LIMIT = 512;

/** A run of the installer, with what it came to; so far, while it is under way. */
export interface GitlabRun extends OutcomeCounts {
  /** The first run id of its workflow. */
  runId: string;
  startedAt: Date;
  /** Null while it is under way. */
  finishedAt: Date | null;
  /** Null: nothing was left to do, or it failed. */
  endedEarly: EndedEarly | null;
  /** From when on it makes sense to go on. */
  retryAt: Date | null;
  /** Why it failed, in a sentence. */
  error: string | null;
  /** What is still due; once it has ended, what was then. */
  remaining: number;
}

export interface BegunRun {
  /** The first run id of its workflow. */
  id: string;
  workflowId: string;
  /** Path of the one repository that it is for; all that are due when left out. */
  repository?: string | null;
  at: Date;
}

/** Notes the beginning of a run, once however often it is said; and forgets those of more than 90 days ago. */
export async function beginRun(db: Database, { id, workflowId, repository = null, at }: BegunRun): Promise<void> {
  await sql`
    with forgotten as (
      delete from gitlab_runs where started_at < ${at}::timestamptz - interval '90 days' and id <> ${id}
    )
    insert into gitlab_runs (id, workflow_id, repository, started_at)
    values (${id}, ${workflowId}, ${repository}, ${at})
    on conflict (id) do nothing
  `.execute(db);
}

export interface FinishedRun {
  at: Date;
  endedEarly: EndedEarly | null;
  retryAt: Date | null;
  error: string | null;
  counts: OutcomeCounts;
  remaining: number;
}

/** Notes the end of a run; said again, it stays as it was said first. */
export async function finishRun(db: Database, id: string, finished: FinishedRun): Promise<void> {
  const { at, endedEarly, retryAt, error, counts, remaining } = finished;
  await db
    .updateTable('gitlab_runs')
    .set({
      finished_at: at,
      ended_early: endedEarly,
      retry_at: retryAt,
      error: error?.replaceAll('\0', '').slice(0, ERROR_LIMIT) ?? null,
      counts: JSON.stringify(counts),
      remaining,
    })
    .where('id', '=', id)
    .where('finished_at', 'is', null)
    .execute();
}

/** What a run has made of the rows that it saw to, from these themselves: exact, whatever died meanwhile. */
export async function countOutcomes(db: Database, runId: string): Promise<OutcomeCounts> {
  const rows = await db
    .selectFrom('gitlab_hooks')
    .select(['last_outcome as outcome', sql<number>`count(*)::int`.as('count')])
    .where('last_run_id', '=', runId)
    .groupBy('last_outcome')
    .execute();
  const counts = Object.fromEntries(HOOK_OUTCOMES.map((outcome) => [outcome, 0])) as Record<HookOutcome, number>;
  for (const { outcome, count } of rows) if (outcome !== null) counts[outcome] = count;
  return counts;
}

/** The newest run that was for all repositories. */
export async function lastRun(db: Database): Promise<GitlabRun | undefined> {
  const row = await db
    .selectFrom('gitlab_runs')
    .selectAll()
    .where('repository', 'is', null)
    .orderBy('started_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row && (await runOf(db, row));
}

/** How far a run has come; undefined before it was begun. */
export async function readProgress(
  db: Database,
  runId: string,
): Promise<{ done: number; remaining: number } | undefined> {
  const row = await db.selectFrom('gitlab_runs').selectAll().where('id', '=', runId).executeTakeFirst();
  if (row === undefined) return undefined;
  const run = await runOf(db, row);
  const done = HOOK_OUTCOMES.reduce((sum, outcome) => sum + run[outcome], 0);
  const isForOne = row.repository !== null && row.finished_at === null;
  return { done, remaining: isForOne ? Math.max(0, 1 - done) : run.remaining };
}

async function runOf(db: Database, row: Selectable<GitlabRunTable>): Promise<GitlabRun> {
  return {
    runId: row.id,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    endedEarly: row.ended_early,
    retryAt: row.retry_at,
    error: row.error,
    ...(row.counts ?? (await countOutcomes(db, row.id))),
    remaining: row.remaining ?? (await countDueHooks(db, { runId: row.id, at: new Date() })),
  };
}
