import { sql } from 'kysely';
import type { Database } from './connection.ts';
import type { SeenRepository } from './repositories.ts';

/** Of the last good list of a group, or tracked and below its path. */
export interface GroupRepository extends SeenRepository {
  /** Ours. */
  id: number;
  isTracked: boolean;
  /** GitLab did not have it at an earlier run: since when. */
  goneAt: Date | null;
}

/** Those that a listing of the group is to be compared with, and those that it shall have an answer on. */
export async function listGroupRepositories(db: Database, group: SeenRepository): Promise<GroupRepository[]> {
  const { rows } = await sql<Omit<GroupRepository, 'gitlabId'> & { gitlabId: string }>`
    select repositories.id, repositories.gitlab_id as "gitlabId", repositories.path,
      tracked_at is not null as "isTracked", gone_at as "goneAt"
    from repositories left join gitlab_groups on gitlab_groups.id = repositories.group_id
    where gitlab_groups.gitlab_id = ${group.gitlabId}::bigint
      or starts_with(lower(repositories.path), lower(${group.path}) || '/')
        and (repositories.group_id is not null or tracked_at is not null)
    order by repositories.gitlab_id
  `.execute(db);
  return rows.map(({ gitlabId, ...rest }) => ({ ...rest, gitlabId: Number(gitlabId) }));
}

/**
 * Keeps a group, but no row for its hook: that is for the group which the installer sees to. Its row stays locked, so that
 * two listings are written one after the other; and then the rows of these repositories, in their order.
 * @returns our id of it
 */
export async function holdGroup(
  db: Database,
  { gitlabId, path }: SeenRepository,
  repositories: readonly number[],
): Promise<number> {
  const { rows } = await sql<{ id: number }>`
    insert into gitlab_groups (gitlab_id, path) values (${gitlabId}, ${path})
    on conflict (gitlab_id) do update set path = excluded.path returning id
  `.execute(db);
  await sql`
    select from repositories where gitlab_id = any(${repositories}::bigint[]) order by gitlab_id for no key update
  `.execute(db);
  const [group] = rows;
  if (group === undefined) throw new Error('Postgres gave no row of the group');
  return group.id;
}

/**
 * GitLab says that it does not have these: they are in no group any more, and not covered by a group's hook, so that
 * somebody looks. Of those that were gone before, the earlier time stays.
 */
export async function markGone(db: Database, ids: readonly number[], at: Date): Promise<void> {
  await sql`
    with gone as (
      update repositories set group_id = null, gone_at = coalesce(gone_at, ${at}::timestamptz)
      where id = any(${ids}::int[]) returning id
    )
    update gitlab_hooks set state = case when state = 'covered' then 'pending' else state end,
      due_at = case when state in ('covered', 'installed') then least(due_at, ${at}::timestamptz) else due_at end
    from gone where repository_id = gone.id
  `.execute(db);
}

export interface ListingRecord {
  listed: number;
  changes: { added: number; changed: number; gone: number };
}

/** The group was listed to the end. */
export async function recordListing(
  db: Database,
  groupId: number,
  at: Date,
  { listed, changes }: ListingRecord,
): Promise<void> {
  await db
    .updateTable('gitlab_groups')
    .set({ listed_at: at, listed, listing_changes: JSON.stringify(changes) })
    .where('id', '=', groupId)
    .execute();
}

/** The group that is known and whose path is the beginning of this one; of several the one furthest up. */
export async function findGroupAbove(db: Database, path: string): Promise<string | undefined> {
  const { rows } = await sql<{ path: string }>`
    select path from gitlab_groups
    where lower(path) = lower(${path}) or starts_with(lower(${path}), lower(path) || '/') order by length(path) limit 1
  `.execute(db);
  return rows[0]?.path;
}
