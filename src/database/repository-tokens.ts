import type { Database } from './connection.ts';

/** SHA-256 of the token by which a repository's CI is known; null where it has none, or is not tracked any more. */
export async function findRepositoryTokenHash(db: Database, repositoryId: number): Promise<Buffer | null> {
  const row = await db
    .selectFrom('repositories')
    .select('token_hash')
    .where('id', '=', repositoryId)
    .where('tracked_at', 'is not', null)
    .executeTakeFirst();
  return row?.token_hash ?? null;
}

/**
 * The one before is worth nothing from then on.
 * @param hash null takes the token away
 * @returns false where the repository is not tracked
 */
export async function setRepositoryTokenHash(
  db: Database,
  repositoryId: number,
  hash: Buffer | null,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('repositories')
    .set({ token_hash: hash })
    .where('id', '=', repositoryId)
    .where('tracked_at', 'is not', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}
