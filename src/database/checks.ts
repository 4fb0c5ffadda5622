import { sql } from 'kysely';
import { type CheckOfCommit, statusOfChecks } from '../domain/check-status.ts';
import type { CheckState } from '../domain/commit.ts';
import type { Problem } from '../domain/sarif.ts';
import { checkOfRow } from './check-rows.ts';
import type { Database, ForgeflowDatabase } from './connection.ts';
import { requestJobs } from './job-requests.ts';

/** A check of a commit's last run, of a repository that is tracked. */
export interface CommitCheck {
  id: number;
  plugin: string;
  state: CheckState;
  commitId: number;
  sha: string;
  repository: { id: number; path: string };
}

/** What became of a check, as it is kept. */
export type CheckResult =
  | { kind: 'completed'; problems: readonly Problem[]; omitted: number }
  | { kind: 'failed'; reason: string; printed: string };

/**
 * A check begins, unless it is completed: that stays as it is, and its state is said.
 * @returns null where there is no such check (any more): a newer run has taken its place, or its repository is not tracked
 */
export async function beginCheck(db: ForgeflowDatabase, id: number): Promise<CommitCheck | null> {
  return withCheck(db, id, async (transaction, check) => {
    if (check.state === 'completed') return;
    await sql`
      update checks set state = 'running', started_at = now(), finished_at = null, problems = null, omitted = null,
        reason = null, printed = null
      where id = ${id}
    `.execute(transaction);
    await writeState(transaction, check.commitId);
  });
}

/** @returns false where there is no such check any more: nothing is written then */
export async function endCheck(db: ForgeflowDatabase, id: number, result: CheckResult): Promise<boolean> {
  const check = await withCheck(db, id, async (transaction, { commitId }) => {
    const problems = result.kind === 'completed' ? result.problems : [];
    await writeProblems(transaction, id, problems);
    const { count, omitted, reason, printed } =
      result.kind === 'completed'
        ? { count: problems.length + result.omitted, omitted: result.omitted, reason: null, printed: null }
        : { count: null, omitted: null, reason: result.reason, printed: result.printed };
    await sql`
      update checks set state = ${result.kind}, problems = ${count}, omitted = ${omitted}, reason = ${reason},
        printed = ${printed}, finished_at = now()
      where id = ${id}
    `.execute(transaction);
    await writeState(transaction, commitId);
  });
  return check !== null;
}

/** A check that was broken off waits for another worker. */
export async function putCheckBack(db: Database, id: number): Promise<void> {
  await sql`update checks set state = 'waiting', started_at = null where id = ${id} and state = 'running'`.execute(db);
}

/** Whether it is still to be run: no newer run has taken its place, and its repository is tracked. */
export async function isWanted(db: Database, id: number): Promise<boolean> {
  const { rows } = await sql`
    select from checks
    join commits on commits.id = checks.commit_id
    join repositories on repositories.id = commits.repository_id and repositories.tracked_at is not null
    where checks.id = ${id}
  `.execute(db);
  return rows.length > 0;
}

/**
 * Does the work while nobody else writes checks of that commit, nor removes the repository. In the order in which all lock
 * these: repository, commit, check.
 */
async function withCheck(
  db: ForgeflowDatabase,
  id: number,
  work: (transaction: Database, check: CommitCheck) => Promise<void>,
): Promise<CommitCheck | null> {
  return db.transaction().execute(async (transaction) => {
    const { rows: repositories } = await sql<{ id: number; path: string; commitId: number }>`
      select repositories.id, repositories.path, commits.id as "commitId" from checks
      join commits on commits.id = checks.commit_id
      join repositories on repositories.id = commits.repository_id
      where checks.id = ${id} and repositories.tracked_at is not null
      for key share of repositories
    `.execute(transaction);
    const [found] = repositories;
    if (found === undefined) return null;
    const { commitId, ...repository } = found;
    await sql`select from commits where id = ${commitId} for no key update`.execute(transaction);
    // Read only now: whoever had the commit before may have begun a newer run.
    const { rows } = await sql<Pick<CommitCheck, 'plugin' | 'state' | 'sha'>>`
      select checks.plugin, checks.state, commits.sha from checks join commits on commits.id = checks.commit_id
      where checks.id = ${id}
    `.execute(transaction);
    const [row] = rows;
    if (row === undefined) return null;
    const check = { id, commitId, repository, ...row };
    await work(transaction, check);
    return check;
  });
}

/** What the checks of a commit come to by now; GitLab is to be told where that has changed. */
async function writeState(db: Database, commitId: number): Promise<void> {
  const state = statusOfChecks(await checksOfCommit(db, commitId))?.state;
  if (state === undefined) return;
  const { numAffectedRows } = await sql`
    update commits set checks_state = ${state}, checks_detail = null
    where id = ${commitId} and (checks_state <> ${state} or checks_detail is not null)
  `.execute(db);
  if (numAffectedRows === 1n) await requestJobs(db, [{ kind: 'postCommitStatuses', payload: { commitId } }]);
}

/** In the order of the manifest. */
async function checksOfCommit(db: Database, commitId: number): Promise<CheckOfCommit[]> {
  const rows = await db
    .selectFrom('checks')
    .select(['plugin', 'state', 'problems', 'reason'])
    .where('commit_id', '=', commitId)
    .orderBy('id')
    .execute();
  return rows.map(checkOfRow);
}

async function writeProblems(db: Database, id: number, problems: readonly Problem[]): Promise<void> {
  await db.deleteFrom('problems').where('check_id', '=', id).execute();
  if (problems.length === 0) return;
  await sql`
    insert into problems (check_id, number, path, line, "column", rule_id, level, message)
    select ${id}, number, path, line, "column", rule_id, level, message
    from unnest(
      ${problems.map(({ path }) => path)}::text[], ${problems.map(({ line }) => line)}::int[],
      ${problems.map(({ column }) => column)}::int[], ${problems.map(({ ruleId }) => ruleId)}::text[],
      ${problems.map(({ level }) => level)}::text[], ${problems.map(({ message }) => message)}::text[]
    ) with ordinality as given (path, line, "column", rule_id, level, message, number)
  `.execute(db);
}
