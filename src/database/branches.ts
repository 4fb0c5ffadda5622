import { sql } from 'kysely';
import { coverBranches } from './commit-coverage.ts';
import type { Database, ForgeflowDatabase } from './connection.ts';
import { holdTracked } from './coverage-reports.ts';

/** A branch of a repository that was pushed; null: it was deleted. */
export interface PushedHead {
  repositoryId: number;
  name: string;
  headSha: string | null;
}

/** The branch is there now, as an event tells; nothing is written where the repository is not tracked. */
export async function moveBranch(db: Database, { repositoryId, name, headSha }: PushedHead): Promise<void> {
  if (headSha === null) {
    await db.deleteFrom('branches').where('repository_id', '=', repositoryId).where('name', '=', name).execute();
    return;
  }
  await sql`
    with repository as (
      select id from repositories where id = ${repositoryId} and tracked_at is not null for key share
    )
    insert into branches (repository_id, name, head_sha) select id, ${name}, ${headSha} from repository
    on conflict (repository_id, name) do update set head_sha = excluded.head_sha, updated_at = now()
    where branches.head_sha <> excluded.head_sha
  `.execute(db);
}

/**
 * Makes the branches those that a clone has. Events may overtake one another, or get lost; a clone may be of before the
 * last of them. So each event asks for a look at the repository, and what was looked at earlier does not overwrite what was
 * looked at later.
 * @param fetchedAt by `databaseTime`, before the fetch began
 * @returns false where that was done from a later fetch already, or the repository is not tracked
 */
export async function keepBranches(
  db: ForgeflowDatabase,
  { repositoryId, fetchedAt }: { repositoryId: number; fetchedAt: string },
  heads: ReadonlyMap<string, string>,
): Promise<boolean> {
  const isKept = await db.transaction().execute((one) => replaceBranches(one, { repositoryId, fetchedAt }, heads));
  // By themselves: whoever is about to cover a commit has it locked, and waits for its branches.
  for (const commitId of await coveredHeads(db, repositoryId))
    await db.transaction().execute(async (one) => {
      if (await holdTracked(one, repositoryId)) await coverBranches(one, commitId);
    });
  return isKept;
}

async function replaceBranches(
  db: Database,
  { repositoryId, fetchedAt }: { repositoryId: number; fetchedAt: string },
  heads: ReadonlyMap<string, string>,
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update repositories set branches_read_at = ${fetchedAt}::timestamptz
    where id = ${repositoryId} and tracked_at is not null
      and coalesce(branches_read_at <= ${fetchedAt}::timestamptz, true)
  `.execute(db);
  if (numAffectedRows !== 1n) return false; // else its row is locked, and who comes next waits
  await sql`
    with given as (
      select name, head_sha from unnest(${[...heads.keys()]}::text[], ${[...heads.values()]}::text[]) as given (name, head_sha)
    ), locked as (
      select name from branches where repository_id = ${repositoryId} order by name for update
    ), gone as (
      delete from branches using locked
      where repository_id = ${repositoryId} and branches.name = locked.name and locked.name not in (select name from given)
    ), moved as (
      update branches set head_sha = given.head_sha, updated_at = now()
      from given join locked using (name)
      where repository_id = ${repositoryId} and branches.name = given.name and branches.head_sha <> given.head_sha
    )
    insert into branches (repository_id, name, head_sha)
    select ${repositoryId}::int, name, head_sha from given where name not in (select name from locked)
    on conflict (repository_id, name) do update set head_sha = excluded.head_sha, updated_at = now()
  `.execute(db);
  return true;
}

/** Commits that are covered, and have come to be the head of a branch that does not know. */
async function coveredHeads(db: Database, repositoryId: number): Promise<number[]> {
  const { rows } = await sql<{ id: number }>`
    select distinct commits.id
    from branches
    join commits on commits.repository_id = branches.repository_id and sha = head_sha
    join commit_coverage on commit_id = commits.id
    where branches.repository_id = ${repositoryId} and coverage_sha is distinct from head_sha
  `.execute(db);
  return rows.map(({ id }) => id);
}
