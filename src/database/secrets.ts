import { sql } from 'kysely';
import type { Database } from './connection.ts';

/** A secret, without what it is. */
export interface SecretEntry {
  name: string;
  /** The path of the repository that alone has it; null: all have it. */
  repository: string | null;
  updatedAt: Date;
}

/** What a secret is known by. */
export interface SecretKey {
  /** Null: of all repositories. */
  repositoryId: number | null;
  name: string;
}

/**
 * Keeps a secret, in the place of the one that was there.
 * @returns undefined where the repository is not tracked (any more)
 */
export async function setSecret(
  db: Database,
  { repositoryId, name }: SecretKey,
  sealed: Buffer,
): Promise<SecretEntry | undefined> {
  const { rows } = await sql<SecretEntry>`
    with repository as (
      select id, path from repositories where id = ${repositoryId}::int and tracked_at is not null for key share
    ), kept as (
      insert into secrets (repository_id, name, value_sealed)
      select ${repositoryId}::int, ${name}, ${sealed}
      where ${repositoryId}::int is null or exists (select from repository)
      on conflict (repository_id, name) do update set value_sealed = excluded.value_sealed, updated_at = now()
      returning name, updated_at
    )
    select kept.name, repository.path as repository, kept.updated_at as "updatedAt" from kept left join repository on true
  `.execute(db);
  return rows[0];
}

/** Those of all repositories first, then by repository and name. */
export async function listSecrets(db: Database): Promise<SecretEntry[]> {
  const { rows } = await sql<SecretEntry>`
    select secrets.name, repositories.path as repository, secrets.updated_at as "updatedAt"
    from secrets left join repositories on repositories.id = secrets.repository_id
    order by lower(repositories.path) nulls first, secrets.name
  `.execute(db);
  return rows;
}

/** @returns false where there is none */
export async function deleteSecret(db: Database, { repositoryId, name }: SecretKey): Promise<boolean> {
  const { numAffectedRows } = await sql`
    delete from secrets where repository_id is not distinct from ${repositoryId}::int and name = ${name}
  `.execute(db);
  return numAffectedRows === 1n;
}

/** Those that a repository's checks are given, by their names; its own before those of all. Sealed. */
export async function findSecrets(
  db: Database,
  repositoryId: number,
  names: readonly string[],
): Promise<Map<string, Buffer>> {
  if (names.length === 0) return new Map();
  const { rows } = await sql<{ name: string; sealed: Buffer }>`
    select distinct on (name) name, value_sealed as sealed from secrets
    where name = any(${names}::text[]) and (repository_id = ${repositoryId} or repository_id is null)
    order by name, repository_id nulls last
  `.execute(db);
  return new Map(rows.map(({ name, sealed }) => [name, sealed]));
}
