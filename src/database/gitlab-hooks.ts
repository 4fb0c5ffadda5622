import type { Database } from './connection.ts';

/** @returns the stored hash that equals this one, for whoever has to compare it once more in constant time */
export async function findHookTokenHash(db: Database, tokenHash: Buffer): Promise<Buffer | undefined> {
  const row = await db
    .selectFrom('gitlab_hooks')
    .select('token_hash')
    .where('token_hash', '=', tokenHash)
    .executeTakeFirst();
  return row?.token_hash;
}
