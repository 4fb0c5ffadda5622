import { type Selectable, sql } from 'kysely';
import type { Database } from './connection.ts';
import { isCovering } from './gitlab-coverage.ts';
import type { RepositoryTable } from './tables.ts';

export interface Repository {
  /** Ours. */
  id: number;
  gitlabId: number;
  /** `group/subgroup/project`, when it was last seen. */
  path: string;
  groupId: number | null;
  lastSeenAt: Date;
}

/** As GitLab lists it. */
export interface SeenRepository {
  gitlabId: number;
  path: string;
}

/**
 * Keeps what GitLab lists, in one statement: a moved one has its new path then, a new one a row for its hook, to be
 * installed. One that is not in a group any more whose hook covered it becomes due; one that is listed outside of a group's
 * listing stays in its group while its path says so.
 * @param groupId the group that they were listed in; null: it was another listing
 * @param keepsGroup one that is in another group already, which its path fits, stays there
 * @returns how many different ones these are, and how many of them are new
 */
export async function upsertRepositories(
  db: Database,
  seen: readonly SeenRepository[],
  { groupId, at, keepsGroup = false }: { groupId: number | null; at: Date; keepsGroup?: boolean },
): Promise<{ known: number; added: number }> {
  // Updated first: an insert with a conflict would use up a number of the identity for every one, at every listing.
  const { rows } = await sql<{ known: number; added: number }>`
    with given as (
      select distinct on (gitlab_id) gitlab_id, path
      from unnest(
        ${seen.map(({ gitlabId }) => gitlabId)}::bigint[], ${seen.map(({ path }) => path)}::text[]
      ) with ordinality as given (gitlab_id, path, position)
      order by gitlab_id, position desc
    ), locked as (
      select id, gitlab_id, repositories.group_id from repositories
      where gitlab_id in (select gitlab_id from given) order by gitlab_id for no key update
    ), updated as (
      update repositories set
        path = given.path,
        group_id = coalesce(case when not ${keepsGroup}::boolean then ${groupId}::int end, (
          select gitlab_groups.id from gitlab_groups
          where gitlab_groups.id = locked.group_id and starts_with(given.path, gitlab_groups.path || '/')
        ), ${groupId}::int),
        gone_at = null,
        last_seen_at = greatest(last_seen_at, ${at}::timestamptz)
      from given join locked on locked.gitlab_id = given.gitlab_id
      where repositories.id = locked.id
      returning repositories.id, repositories.group_id
    ), added as (
      insert into repositories (gitlab_id, path, group_id, last_seen_at)
      select gitlab_id, path, ${groupId}::int, ${at}::timestamptz from given
      where gitlab_id not in (select gitlab_id from locked)
      on conflict (gitlab_id) do update set path = excluded.path, last_seen_at = excluded.last_seen_at, gone_at = null
      returning id, xmax = 0 as is_new
    ), hooks as (
      insert into gitlab_hooks (repository_id, due_at)
      select id, ${at}::timestamptz from (select id from added union all select id from updated) as repository
      where not exists (select from gitlab_hooks where repository_id = repository.id)
      on conflict (repository_id) do nothing
    ), uncovered as (
      update gitlab_hooks set state = 'pending', due_at = ${at}
      from updated
      where repository_id = updated.id and state = 'covered' and not ${isCovering(sql`updated.group_id`)}
    )
    select
      (select count(*) from given)::int as known,
      (select count(*) from added where is_new)::int as added
  `.execute(db);
  return rows[0] ?? { known: 0, added: 0 };
}

/**
 * Lets those go that the listing of a group, which began then, did not show: gone, or moved out of it, they are no longer
 * covered, and due, so that somebody looks.
 * @returns how many
 */
export async function releaseUnseen(db: Database, groupId: number, listedSince: Date): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    with released as (
      update repositories set group_id = null where group_id = ${groupId} and last_seen_at < ${listedSince} returning id
    ), uncovered as (
      update gitlab_hooks set state = case when state = 'covered' then 'pending' else state end,
        due_at = case when state in ('covered', 'installed') then least(due_at, ${listedSince}) else due_at end
      from released where repository_id = released.id
    )
    select count(*)::int as count from released
  `.execute(db);
  return rows[0]?.count ?? 0;
}

/** The one that was last seen with this path, which one that moved away may have had too. GitLab's paths ignore case. */
export async function findRepositoryByPath(db: Database, path: string): Promise<Repository | undefined> {
  const row = await db
    .selectFrom('repositories')
    .selectAll()
    .where(sql<boolean>`lower(path) = lower(${path})`)
    .orderBy('last_seen_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row && repositoryOf(row);
}

export async function findRepository(db: Database, id: number): Promise<Repository | undefined> {
  const row = await db.selectFrom('repositories').selectAll().where('id', '=', id).executeTakeFirst();
  return row && repositoryOf(row);
}

export async function findRepositoryByGitlabId(db: Database, gitlabId: number): Promise<Repository | undefined> {
  const row = await db
    .selectFrom('repositories')
    .selectAll()
    .where('gitlab_id', '=', String(gitlabId))
    .executeTakeFirst();
  return row && repositoryOf(row);
}

function repositoryOf(row: Selectable<RepositoryTable>): Repository {
  return {
    id: row.id,
    gitlabId: Number(row.gitlab_id),
    path: row.path,
    groupId: row.group_id,
    lastSeenAt: row.last_seen_at,
  };
}
