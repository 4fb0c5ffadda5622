import { type RawBuilder, sql } from 'kysely';

/**
 * Whether the hook of a group sends the events of its projects, as SQL: it is in GitLab, with a secret of ours, as far as
 * anybody knows. A right that our account lost does not take it away; only what was seen to be gone is gone.
 * @param groupId of ours, as SQL
 */
export function isCovering(groupId: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql<boolean>`exists (
    select from gitlab_hooks covering
    where covering.group_id = ${groupId} and covering.gitlab_hook_id is not null and covering.secret_arrived
      and covering.state <> 'not_found'
  )`;
}

/** The same for the group of the repository that a row of `gitlab_hooks` belongs to. */
export function isCovered(): RawBuilder<boolean> {
  return isCovering(sql`(select group_id from repositories where id = gitlab_hooks.repository_id)`);
}
