import { sql } from 'kysely';
import { emailKey } from '../domain/author-link.ts';
import type { Database } from './connection.ts';

// In all of these the repository's row is held in share: whoever removes it finds what they write, or keeps them from it.

/** A commit is being processed from now on. @returns false where it is gone, or its repository not tracked */
export async function beginCommit(db: Database, id: number): Promise<boolean> {
  const { numAffectedRows } = await sql`
    with repository as (${trackedOf(id)})
    update commits set state = 'in_progress' from repository where commits.id = ${id} and repository_id = repository.id
  `.execute(db);
  return numAffectedRows === 1n;
}

/** What git has said of a commit. */
export interface ClonedCommit {
  title: string;
  authorName: string;
  authorEmail: string;
  authoredAt: Date | null;
  sizeBytes: number;
  /** The user that it is by. */
  authorId: number | null;
}

/** No email is longer; a key of a few thousand characters would not fit into an index. */
const LONGEST_KEY = 320;

/** It is there, and whatever went wrong before is over. @returns false as above */
export async function completeCommit(db: Database, id: number, found: ClonedCommit): Promise<boolean> {
  const key = emailKey(found.authorEmail);
  const { numAffectedRows } = await sql`
    with repository as (${trackedOf(id)})
    update commits set state = 'completed', failure = null, title = ${found.title}, author_name = ${found.authorName},
      author_email = ${found.authorEmail}, author_email_key = ${key.length > LONGEST_KEY ? null : key},
      author_id = ${found.authorId}::int, authored_at = ${found.authoredAt}::timestamptz,
      size_bytes = ${found.sizeBytes}::bigint, processed_at = now()
    from repository where commits.id = ${id} and repository_id = repository.id
  `.execute(db);
  return numAffectedRows === 1n;
}

/** It could not be cloned, for now or for good. @param failure one sentence @returns false as above */
export async function failCommit(db: Database, id: number, failure: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    with repository as (${trackedOf(id)})
    update commits set state = 'errored', failure = ${failure}, checks_state = 'error', checks_detail = null
    from repository where commits.id = ${id} and repository_id = repository.id
  `.execute(db);
  return numAffectedRows === 1n;
}

const trackedOf = (commitId: number) => sql`
  select repositories.id from repositories
  where id = (select repository_id from commits where commits.id = ${commitId}) and tracked_at is not null for key share
`;

export interface BegunChecks {
  /** Those to be run. */
  ids: number[];
  /** Those of the run before, which are of no use any more. */
  superseded: number[];
}

/** Begins the checks of a commit anew, in the transaction that has its row locked. */
export async function beginChecks(db: Database, commitId: number, plugins: readonly string[]): Promise<BegunChecks> {
  const superseded = await db.deleteFrom('checks').where('commit_id', '=', commitId).returning('id').execute();
  const { rows } = await sql<{ id: number }>`
    with commit as (
      update commits set checks_run = checks_run + 1, checks_state = 'pending', checks_detail = null
      where id = ${commitId} and ${plugins.length} > 0 returning checks_run
    )
    insert into checks (commit_id, run, plugin)
    select ${commitId}::int, checks_run, plugin
    from commit, unnest(${[...plugins]}::text[]) with ordinality as given (plugin, position)
    order by position
    returning id
  `.execute(db);
  return { ids: rows.map(({ id }) => id), superseded: superseded.map(({ id }) => id) };
}

/** What all commits of a repository take that were cloned. @returns undefined where it is not tracked */
export async function sumCommitSizes(db: Database, repositoryId: number): Promise<number | undefined> {
  if (!db.isTransaction) return db.transaction().execute((transaction) => sumCommitSizes(transaction, repositoryId));
  // Whoever waits here for another one sees what that has not seen yet.
  await db.selectFrom('repositories').select('id').where('id', '=', repositoryId).forNoKeyUpdate().execute();
  const { rows } = await sql<{ size: string }>`
    update repositories set commits_size = (
      select coalesce(sum(size_bytes), 0) from commits where repository_id = repositories.id and state = 'completed'
    )
    where id = ${repositoryId} and tracked_at is not null returning commits_size as size
  `.execute(db);
  return rows[0] && Number(rows[0].size);
}
