import { sql } from 'kysely';
import type { Database } from './connection.ts';
import { isCovering } from './gitlab-coverage.ts';

/** Keeps a group, and makes the row for its hook. @returns our id of it */
export async function upsertGroup(
  db: Database,
  { gitlabId, path }: { gitlabId: number; path: string },
): Promise<{ id: number }> {
  const { rows } = await sql<{ id: number }>`
    with kept as (
      insert into gitlab_groups (gitlab_id, path) values (${gitlabId}, ${path})
      on conflict (gitlab_id) do update set path = excluded.path
      returning id
    ), hook as (
      insert into gitlab_hooks (group_id) select id from kept on conflict (group_id) do nothing
    )
    select id from kept
  `.execute(db);
  const [group] = rows;
  if (group === undefined) throw new Error('Postgres gave no row of the group');
  return group;
}

/**
 * Once the hook of a group is in place, and not before: repositories of it that have no hook of their own need none. Those
 * that have one, or may have, become due, so that it is removed; until then both send the same events.
 * @returns how many were covered at once
 */
export async function coverRepositories(db: Database, groupId: number, at: Date): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    with changed as (
      update gitlab_hooks set
        state = case when has_hook then state else 'covered' end,
        reason = case when has_hook then reason end,
        failures = case when has_hook then failures else 0 end,
        due_at = case when has_hook then least(due_at, ${at}) else due_at end
      from (
        select hook.id, hook.gitlab_hook_id is not null or hook.secret_id is not null as has_hook
        from gitlab_hooks hook join repositories on repositories.id = hook.repository_id
        where repositories.group_id = ${groupId} and ${isCovering(sql`${groupId}`)}
      ) as member
      where gitlab_hooks.id = member.id
        and case when has_hook then state in ('pending', 'installed') and due_at > ${at}
          else state not in ('covered', 'not_found') and secret_id is null end
      returning state
    )
    select count(*)::int as count from changed where state = 'covered'
  `.execute(db);
  return rows[0]?.count ?? 0;
}

/** Once the hook of a group is no longer in place: repositories that it covered are due. @returns how many */
export async function uncoverRepositories(db: Database, groupId: number, at: Date): Promise<number> {
  const { numAffectedRows } = await sql`
    update gitlab_hooks set state = 'pending', due_at = ${at}
    from repositories
    where repositories.id = gitlab_hooks.repository_id and repositories.group_id = ${groupId}
      and gitlab_hooks.state = 'covered' and not ${isCovering(sql`${groupId}`)}
  `.execute(db);
  return Number(numAffectedRows ?? 0);
}
