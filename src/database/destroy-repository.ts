import { sql } from 'kysely';
import type { JobKind } from '../domain/job-kinds.ts';
import type { Database } from './connection.ts';

const REMOVAL: JobKind = 'destroyRepository';

/**
 * Deletes what was found out of a repository, and the jobs that were asked for it; its row stays, and its webhook's. The
 * caller has locked its row, so that nothing is added meanwhile.
 */
export async function deleteContents(db: Database, id: number): Promise<void> {
  await deleteJobRequests(db, id); // first: what they are about is told by the rows
  await sql`
    with locked as (select id from merge_requests where repository_id = ${id} order by id for update)
    delete from merge_requests using locked where merge_requests.id = locked.id
  `.execute(db);
  await db.deleteFrom('search_indexes').where('repository_id', '=', id).execute(); // and all of the index with it
  // Before the commits, each of which would look for its rows in it.
  await db.deleteFrom('coverage_history').where('repository_id', '=', id).execute();
  await db.deleteFrom('commits').where('repository_id', '=', id).execute(); // with their checks, problems, coverage
  for (const table of ['branches', 'coverage_reports', 'permissions', 'secrets'] as const)
    await db.deleteFrom(table).where('repository_id', '=', id).execute();
}

/** A request that is being submitted is waited for: its job is there then, to be cancelled. */
async function deleteJobRequests(db: Database, id: number): Promise<void> {
  const idsIn = (table: string) => sql`(select to_jsonb(id) from ${sql.table(table)} where repository_id = ${id})`;
  await sql`
    delete from job_requests where kind <> ${REMOVAL} and (
      payload->'repositoryId' = to_jsonb(${id}::int)
      or payload->'mergeRequestId' in ${idsIn('merge_requests')}
      or payload->'commitId' in ${idsIn('commits')}
      or payload->'checkId' in (
        select to_jsonb(checks.id) from checks join commits on commits.id = commit_id where repository_id = ${id}
      )
    )
  `.execute(db);
}

/**
 * Deletes the row of a repository that is not tracked, and all that still belongs to it. Events and deliveries stay: they
 * are the record of what was sent.
 * @returns false where it is tracked again, and nothing is deleted then
 */
export async function deleteRepository(db: Database, id: number): Promise<boolean> {
  if (!db.isTransaction) return db.transaction().execute((transaction) => deleteRepository(transaction, id));
  const row = await db
    .selectFrom('repositories')
    .select('tracked_at')
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) {
    await deleteJobRequests(db, id); // whoever asked for them did not know yet
    return true;
  }
  if (row.tracked_at !== null) return false;
  await deleteContents(db, id);
  await db.deleteFrom('repositories').where('id', '=', id).execute();
  return true;
}
