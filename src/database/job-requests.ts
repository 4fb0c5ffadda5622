import { sql } from 'kysely';
import { JOB_KINDS, type JobKind } from '../domain/job-kinds.ts';
import type { JobPayload } from '../domain/job.ts';
import type { Database } from './connection.ts';

/** A job that is to be submitted to Temporal. */
export interface JobRequest<Kind extends string = JobKind> {
  kind: Kind;
  payload: JobPayload;
}

/**
 * Asks for jobs: from the commit on the relays of all workers see it, and submit them to Temporal. So whatever makes a job
 * necessary and the asking for it are one transaction, and neither is lost without the other.
 */
export async function requestJobs(db: Database, jobs: readonly JobRequest[]): Promise<void> {
  if (jobs.length === 0) return;
  await sql`
    insert into job_requests (kind, payload)
    select kind, payload::jsonb from unnest(
      ${jobs.map(({ kind }) => kind)}::text[], ${jobs.map(({ payload }) => JSON.stringify(payload))}::text[]
    ) with ordinality as given (kind, payload, position)
    order by position
  `.execute(db);
}

export interface StoredJobRequest extends JobRequest<string> {
  id: string;
}

/**
 * The oldest requests that nobody has taken, or is about to: they are this transaction's. Kinds that only a newer version
 * knows are left to its workers.
 */
export async function takeJobRequests(db: Database, limit: number): Promise<StoredJobRequest[]> {
  return db
    .selectFrom('job_requests')
    .select(['id', 'kind'])
    .select((select) => select.ref('payload').$castTo<JobPayload>().as('payload'))
    .where('kind', 'in', Object.keys(JOB_KINDS))
    .orderBy('id')
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute();
}

/** They have been submitted. */
export async function removeJobRequests(db: Database, ids: readonly string[]): Promise<void> {
  await sql`delete from job_requests where id = any(${ids}::bigint[])`.execute(db);
}

export interface JobBacklog {
  /** Events that are still to be read, and jobs that are still to be submitted. */
  events: number;
  requests: number;
  oldestRequestAt: Date | null;
}

export async function readJobBacklog(db: Database): Promise<JobBacklog> {
  const { rows } = await sql<JobBacklog>`
    select
      (select count(*)::int from job_events) as events,
      (select count(*)::int from job_requests) as requests,
      (select min(created_at) from job_requests) as "oldestRequestAt"
  `.execute(db);
  return rows[0] ?? { events: 0, requests: 0, oldestRequestAt: null };
}
