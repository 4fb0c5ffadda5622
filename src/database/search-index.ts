import type { Database } from './connection.ts';

/** What of a repository is in the index. */
export interface SearchIndex {
  /** Null: it had no commits. */
  commit: string | null;
  indexedAt: Date;
  files: number;
  /** It has more files than are indexed. */
  truncated: boolean;
}

/** Undefined before it was first indexed. */
export async function findSearchIndex(db: Database, repositoryId: number): Promise<SearchIndex | undefined> {
  const row = await db
    .selectFrom('search_indexes')
    .select(['commit_sha', 'indexed_at', 'files', 'truncated'])
    .where('repository_id', '=', repositoryId)
    .executeTakeFirst();
  return row && { commit: row.commit_sha, indexedAt: row.indexed_at, files: row.files, truncated: row.truncated };
}

/** Takes all of it out of the index; nothing happens where there is none. */
export async function dropSearchIndex(db: Database, repositoryId: number): Promise<void> {
  await db.deleteFrom('search_indexes').where('repository_id', '=', repositoryId).execute();
}
