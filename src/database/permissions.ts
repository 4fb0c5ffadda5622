import { sql } from 'kysely';
import type { PermissionChanges, Role } from '../domain/permissions.ts';
import type { Database } from './connection.ts';
import { takeTurn } from './turns.ts';

/** What is stored of one repository's permissions, or of one user's, while this transaction alone writes any. */
export interface StoredPermissions {
  /** By GitLab's id of the user; of the repository, where it is about a user. */
  roles: Map<number, Role>;
  /** GitLab's ids of those whose side was read meanwhile: which of the two answers is the newer one, nobody knows. */
  contested: Set<number>;
}

export interface RepositoryPermissions extends StoredPermissions {
  /** GitLab's members of it were read meanwhile by somebody else. */
  isOutdated: boolean;
}

/**
 * Those of a repository.
 * @param askedAt by `databaseTime`, before GitLab was asked
 * @returns undefined where it is not tracked
 */
export async function holdRepositoryPermissions(
  db: Database,
  repositoryId: number,
  askedAt: string,
): Promise<RepositoryPermissions | undefined> {
  await takeTurn(db, 'permissions');
  const { rows: repositories } = await sql<{ isOutdated: boolean }>`
    select coalesce(permissions_read_at >= ${askedAt}::timestamptz, false) as "isOutdated"
    from repositories where id = ${repositoryId} and tracked_at is not null for no key update
  `.execute(db);
  const [repository] = repositories;
  if (repository === undefined) return undefined;
  const { rows: meanwhile } = await sql<{ gitlabId: string }>`
    select gitlab_id as "gitlabId" from users where permissions_read_at >= ${askedAt}::timestamptz
  `.execute(db);
  return { ...repository, roles: await readRepositoryRoles(db, repositoryId), contested: idsOf(meanwhile) };
}

/** By GitLab's ids of the users, as they are at this moment. */
export async function readRepositoryRoles(db: Database, repositoryId: number): Promise<Map<number, Role>> {
  const { rows } = await sql<{ gitlabId: string; role: Role }>`
    select users.gitlab_id as "gitlabId", role from permissions join users on users.id = permissions.user_id
    where repository_id = ${repositoryId}
  `.execute(db);
  return new Map(rows.map(({ gitlabId, role }) => [Number(gitlabId), role]));
}

export interface UserPermissions extends StoredPermissions {
  /** GitLab's ids of the repositories that are still tracked. */
  tracked: Set<number>;
  isOutdated: boolean;
}

/** Those of a user in the tracked repositories, as above. @returns undefined where there is no such user */
export async function holdUserPermissions(
  db: Database,
  userId: number,
  askedAt: string,
): Promise<UserPermissions | undefined> {
  await takeTurn(db, 'permissions');
  const { rows: repositories } = await sql<{ gitlabId: string; isContested: boolean }>`
    select gitlab_id as "gitlabId", coalesce(permissions_read_at >= ${askedAt}::timestamptz, false) as "isContested"
    from repositories where tracked_at is not null order by id for key share
  `.execute(db);
  const { rows: users } = await sql<{ isOutdated: boolean }>`
    select coalesce(permissions_read_at >= ${askedAt}::timestamptz, false) as "isOutdated"
    from users where id = ${userId} for no key update
  `.execute(db);
  const [user] = users;
  if (user === undefined) return undefined;
  return {
    ...user,
    roles: await readUserRoles(db, userId),
    contested: idsOf(repositories.filter(({ isContested }) => isContested)),
    tracked: idsOf(repositories),
  };
}

/** By GitLab's ids of the repositories, as they are at this moment. */
export async function readUserRoles(db: Database, userId: number): Promise<Map<number, Role>> {
  const { rows } = await sql<{ gitlabId: string; role: Role }>`
    select repositories.gitlab_id as "gitlabId", role
    from permissions join repositories on repositories.id = permissions.repository_id where user_id = ${userId}
  `.execute(db);
  return new Map(rows.map(({ gitlabId, role }) => [Number(gitlabId), role]));
}

function idsOf(rows: readonly { gitlabId: string }[]): Set<number> {
  return new Set(rows.map(({ gitlabId }) => Number(gitlabId)));
}

/** The one that the changes are about, by our id; what they name, by GitLab's, are the others. */
export type PermissionOwner = { repositoryId: number } | { userId: number };

/** Writes the changes, all of whose users and repositories are known, and that it was done. */
export async function writePermissions(
  db: Database,
  owner: PermissionOwner,
  changes: PermissionChanges,
): Promise<void> {
  const given = [...changes.insert, ...changes.change];
  const ids = given.map(({ id }) => id);
  const roles = given.map(({ role }) => role);
  if ('repositoryId' in owner) {
    const { repositoryId } = owner;
    await sql`
      insert into permissions (repository_id, user_id, role)
      select ${repositoryId}, users.id, role
      from unnest(${ids}::bigint[], ${roles}::text[]) as given (gitlab_id, role)
      join users on users.gitlab_id = given.gitlab_id
      on conflict (repository_id, user_id) do update set role = excluded.role
    `.execute(db);
    await sql`
      delete from permissions using users
      where repository_id = ${repositoryId} and users.id = user_id and users.gitlab_id = any(${changes.delete}::bigint[])
    `.execute(db);
    await sql`update repositories set permissions_read_at = clock_timestamp() where id = ${repositoryId}`.execute(db);
    return;
  }
  const { userId } = owner;
  await sql`
    insert into permissions (repository_id, user_id, role)
    select repositories.id, ${userId}, role
    from unnest(${ids}::bigint[], ${roles}::text[]) as given (gitlab_id, role)
    join repositories on repositories.gitlab_id = given.gitlab_id and repositories.tracked_at is not null
    on conflict (repository_id, user_id) do update set role = excluded.role
  `.execute(db);
  await sql`
    delete from permissions using repositories
    where user_id = ${userId} and repositories.id = repository_id
      and repositories.gitlab_id = any(${changes.delete}::bigint[])
  `.execute(db);
  await sql`update users set permissions_read_at = clock_timestamp() where id = ${userId}`.execute(db);
}
