import { sql } from 'kysely';
import type { Database } from './connection.ts';

/** A user of GitLab, as it names them. */
export interface SeenUser {
  gitlabId: number;
  username: string;
  name: string;
}

export interface KeptUser {
  /** Ours. */
  id: number;
  gitlabId: number;
  isNew: boolean;
}

/** Keeps users, each once, in the order of GitLab's ids; of one that was renamed the new name. */
export async function upsertUsers(db: Database, seen: readonly SeenUser[]): Promise<KeptUser[]> {
  if (seen.length === 0) return [];
  // Updated first: an insert with a conflict would use up a number of the identity for every one, every day.
  const { rows } = await sql<{ id: number; gitlabId: string; isNew: boolean }>`
    with given as (
      select distinct on (gitlab_id) gitlab_id, username, name
      from unnest(
        ${seen.map(({ gitlabId }) => gitlabId)}::bigint[], ${seen.map(({ username }) => username)}::text[],
        ${seen.map(({ name }) => name)}::text[]
      ) with ordinality as given (gitlab_id, username, name, position)
      order by gitlab_id, position desc
    ), known as (
      select users.id, users.gitlab_id from users where gitlab_id in (select gitlab_id from given)
      order by gitlab_id for no key update
    ), renamed as (
      update users set username = given.username, name = given.name
      from given join known on known.gitlab_id = given.gitlab_id
      where users.id = known.id and (users.username, users.name) is distinct from (given.username, given.name)
    ), added as (
      insert into users (gitlab_id, username, name)
      select gitlab_id, username, name from given where gitlab_id not in (select gitlab_id from known)
      on conflict (gitlab_id) do update set username = excluded.username, name = excluded.name
      returning id, gitlab_id, xmax = 0 as is_new
    )
    select id, gitlab_id as "gitlabId", false as "isNew" from known
    union all select id, gitlab_id, is_new from added
    order by "gitlabId"
  `.execute(db);
  return rows.map(({ gitlabId, ...user }) => ({ ...user, gitlabId: Number(gitlabId) }));
}

/** A user as they are known here. */
export interface User extends SeenUser {
  /** Ours. */
  id: number;
}

export async function findUser(db: Database, id: number): Promise<User | undefined> {
  const row = await db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst();
  return row && { id: row.id, gitlabId: Number(row.gitlab_id), username: row.username, name: row.name };
}

/** @returns our id of one that we have come across */
export async function findUserByGitlabId(db: Database, gitlabId: number): Promise<number | undefined> {
  const row = await db.selectFrom('users').select('id').where('gitlab_id', '=', String(gitlabId)).executeTakeFirst();
  return row?.id;
}
