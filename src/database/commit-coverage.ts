import { sql } from 'kysely';
import type { FileTotals, LineTotals } from '../domain/coverage.ts';
import type { Database } from './connection.ts';
import { finishReport, holdTracked } from './coverage-reports.ts';
import { requestJobs } from './job-requests.ts';

/** What is known of how well a commit is covered. */
export interface CommitCoverage extends LineTotals {
  format: 'lcov' | 'cobertura';
  /** What its manifest requires; null: nothing. */
  minPercent: number | null;
  /** Files of the report that its manifest leaves out. */
  excludedFiles: number;
  isEnough: boolean;
  /** `94.29% covered`, for the commit status and for people. */
  description: string;
  /** The report that this was read from. */
  reportId: number;
}

/**
 * Keeps what a report says of a commit, instead of what was known before, for the branches that stand at it too, and ends the
 * report; GitLab is to be told then. All of it or nothing.
 * @returns false where the report is not held any more, or its repository not tracked: then nothing was written
 */
export async function keepCoverage(
  db: Database,
  { repositoryId, commitId }: { repositoryId: number; commitId: number },
  { files, ...coverage }: CommitCoverage & { files: readonly FileTotals[] },
): Promise<boolean> {
  if (!db.isTransaction)
    return db
      .transaction()
      .execute((transaction) => keepCoverage(transaction, { repositoryId, commitId }, { files, ...coverage }));
  if (!(await holdTracked(db, repositoryId))) return false;
  if (!(await finishReport(db, coverage.reportId, { state: 'processed', problem: null }))) return false;
  const row = {
    format: coverage.format,
    covered: coverage.covered,
    total: coverage.total,
    min_percent: coverage.minPercent,
    excluded_files: coverage.excludedFiles,
    is_enough: coverage.isEnough,
    description: coverage.description,
    report_id: coverage.reportId,
    processed_at: sql<Date>`now()`,
  };
  await db
    .insertInto('commit_coverage')
    .values({ commit_id: commitId, ...row })
    .onConflict((conflict) => conflict.column('commit_id').doUpdateSet(row))
    .execute();
  await db.deleteFrom('coverage_files').where('commit_id', '=', commitId).execute();
  await insertFiles(db, commitId, files);
  await coverBranches(db, commitId);
  await requestJobs(db, [{ kind: 'postCommitStatuses', payload: { commitId } }]);
  return true;
}

async function insertFiles(db: Database, commitId: number, files: readonly FileTotals[]): Promise<void> {
  await sql`
    insert into coverage_files (commit_id, number, path, covered, total)
    select ${commitId}, position, path, covered, total from unnest(
      ${files.map(({ path }) => path)}::text[], ${files.map(({ covered }) => covered)}::int[],
      ${files.map(({ total }) => total)}::int[]
    ) with ordinality as given (path, covered, total, position)
  `.execute(db);
}

/**
 * Branches that stand at a commit take its coverage, where that is known, and their history has it from then on. To be called
 * in the transaction of whatever changes either of the two, after it: by a branch that comes to stand at a known commit, and
 * by a commit whose coverage comes to be known. The commit is locked, so that of two at once the later sees what the other
 * wrote; whoever writes branches first locks it before, by {@link lockCommit}, or the two would wait for one another.
 */
export async function coverBranches(db: Database, commitId: number): Promise<void> {
  await lockCommit(db, commitId);
  await sql`
    with heads as (
      select branches.repository_id, branches.name, commits.sha, commit_coverage.covered, commit_coverage.total
      from commits
      join commit_coverage on commit_coverage.commit_id = commits.id
      join branches on branches.repository_id = commits.repository_id and branches.head_sha = commits.sha
      where commits.id = ${commitId}
      order by branches.name for no key update of branches
    ), covered as (
      update branches set covered = heads.covered, total = heads.total, coverage_sha = heads.sha
      from heads where branches.repository_id = heads.repository_id and branches.name = heads.name
    )
    insert into coverage_history as known (repository_id, branch, commit_id, covered, total)
    select repository_id, name, ${commitId}, covered, total from heads
    on conflict (repository_id, branch, commit_id) do update set covered = excluded.covered, total = excluded.total,
      at = case when (known.covered, known.total) = (excluded.covered, excluded.total) then known.at else now() end
  `.execute(db);
}

/** Until the end of the transaction: for whoever makes branches stand at it. */
export async function lockCommit(db: Database, commitId: number): Promise<void> {
  await db.selectFrom('commits').select('id').where('id', '=', commitId).forNoKeyUpdate().execute();
}
