import { type Selectable, sql } from 'kysely';
import { REPORT_HOLD_MS, type ReportState } from '../domain/coverage-report.ts';
import type { Database } from './connection.ts';
import { requestJobs } from './job-requests.ts';
import type { CoverageReportTable } from './tables.ts';

/** A report as it came, without its content. */
export interface CoverageReport {
  id: number;
  repositoryId: number;
  sha: string;
  /** Before it was compressed. */
  sizeBytes: number;
  state: ReportState;
  /** Why it was dropped or replaced, or failed, in a sentence. */
  problem: string | null;
  receivedAt: Date;
  finishedAt: Date | null;
}

export interface NewReport {
  repositoryId: number;
  sha: string;
  /** Compressed by gzip. */
  content: Buffer;
  sizeBytes: number;
}

/** A commit that a report waits for, as far as that matters to it. */
export interface AwaitedCommit {
  id: number;
  /** It is on our disk, or has been. */
  isCompleted: boolean;
  /** When it was pushed, or otherwise became known. */
  knownSince: Date;
}

export async function findAwaitedCommit(
  db: Database,
  repositoryId: number,
  sha: string,
): Promise<AwaitedCommit | undefined> {
  const row = await db
    .selectFrom('commits')
    .select(['id', 'state', 'created_at'])
    .where('repository_id', '=', repositoryId)
    .where('sha', '=', sha)
    .executeTakeFirst();
  return row && { id: row.id, isCompleted: row.state === 'completed', knownSince: row.created_at };
}

/** Until when a report waits for its commit. */
export function heldUntil({ receivedAt }: Pick<CoverageReport, 'receivedAt'>): Date {
  return new Date(receivedAt.getTime() + REPORT_HOLD_MS);
}

/** A report that was taken in just now. */
export interface StoredReport {
  id: number;
  sha: string;
  /** Until when it waits for its commit; null where that is there. */
  waitsUntil: Date | null;
}

/**
 * Keeps a report, and asks for the job that processes it: of one commit only the latest is held.
 * @returns undefined where the repository is not tracked
 */
export async function storeReport(
  db: Database,
  { repositoryId, sha, content, sizeBytes }: NewReport,
): Promise<StoredReport | undefined> {
  if (!db.isTransaction)
    return db
      .transaction()
      .execute((transaction) => storeReport(transaction, { repositoryId, sha, content, sizeBytes }));
  if (!(await holdTracked(db, repositoryId))) return undefined;
  // Two that come at once would not see each other, and both be held.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`coverage/${repositoryId}/${sha}`}, 0))`.execute(db);
  await db
    .updateTable('coverage_reports')
    .set({
      state: 'replaced',
      content: null,
      problem: 'a later report of the same commit came',
      finished_at: sql`now()`,
    })
    .where('repository_id', '=', repositoryId)
    .where('sha', '=', sha)
    .where('state', '=', 'held')
    .execute();
  const row = await db
    .insertInto('coverage_reports')
    .values({ repository_id: repositoryId, sha, content, size_bytes: sizeBytes })
    .returning(['id', 'received_at'])
    .executeTakeFirstOrThrow();
  await requestJobs(db, [{ kind: 'processCoverage', payload: { repositoryId, sha, report: row.id } }]);
  const commit = await findAwaitedCommit(db, repositoryId, sha);
  return { id: row.id, sha, waitsUntil: commit?.isCompleted ? null : heldUntil({ receivedAt: row.received_at }) };
}

/** Keeps the repository from being removed until the end of the transaction. @returns false where it is not tracked */
export async function holdTracked(db: Database, repositoryId: number): Promise<boolean> {
  const row = await db
    .selectFrom('repositories')
    .select('id')
    .where('id', '=', repositoryId)
    .where('tracked_at', 'is not', null)
    .forKeyShare()
    .executeTakeFirst();
  return row !== undefined;
}

export async function findReport(db: Database, id: number): Promise<CoverageReport | undefined> {
  const row = await db.selectFrom('coverage_reports').select(REPORT_COLUMNS).where('id', '=', id).executeTakeFirst();
  return row && reportOf(row);
}

/** The id of the one that waits for that commit. For whoever has the commit, to ask for its job. */
export async function findHeldReport(db: Database, repositoryId: number, sha: string): Promise<number | undefined> {
  const row = await db
    .selectFrom('coverage_reports')
    .select('id')
    .where('repository_id', '=', repositoryId)
    .where('sha', '=', sha)
    .where('state', '=', 'held')
    .orderBy('id', 'desc')
    .executeTakeFirst();
  return row?.id;
}

/** Compressed by gzip; null once the report is over. */
export async function readReportContent(db: Database, id: number): Promise<Buffer | null> {
  const row = await db.selectFrom('coverage_reports').select('content').where('id', '=', id).executeTakeFirst();
  return row?.content ?? null;
}

/** Ends the wait of a report that was still held. @returns false where it was not, and stays as it is */
export async function finishReport(
  db: Database,
  id: number,
  { state, problem }: { state: Exclude<ReportState, 'held'>; problem: string | null },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('coverage_reports')
    .set({ state, problem, content: null, finished_at: sql`now()` })
    .where('id', '=', id)
    .where('state', '=', 'held')
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** The newest first. */
export async function listReports(db: Database, repositoryId: number, limit: number): Promise<CoverageReport[]> {
  const rows = await db
    .selectFrom('coverage_reports')
    .select(REPORT_COLUMNS)
    .where('repository_id', '=', repositoryId)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
  return rows.map(reportOf);
}

const REPORT_COLUMNS = [
  'id',
  'repository_id',
  'sha',
  'size_bytes',
  'state',
  'problem',
  'received_at',
  'finished_at',
] as const;

function reportOf(row: Pick<Selectable<CoverageReportTable>, (typeof REPORT_COLUMNS)[number]>): CoverageReport {
  return {
    id: row.id,
    repositoryId: row.repository_id,
    sha: row.sha,
    sizeBytes: row.size_bytes,
    state: row.state,
    problem: row.problem,
    receivedAt: row.received_at,
    finishedAt: row.finished_at,
  };
}
