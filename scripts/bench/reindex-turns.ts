import { sql } from 'kysely';
import { createSearch } from '../../activities/search.ts';
import { indexedText } from '../../activities/search-plan.ts';
import { type ForgeflowDatabase, withConnection } from '../../src/database/connection.ts';
import { CopyRows } from '../../src/database/copy-rows.ts';
import { INDEXED_CONTENT_LIMIT } from '../../src/domain/index-policy.ts';
import { readBlobs } from '../../src/git/blobs.ts';
import type { Clone } from '../../src/git/clone.ts';
import { type TreeEntry, treeEntries } from '../../src/git/tree.ts';
import { runIn } from '../../src/git/clone.ts';

/** What a turn takes, in milliseconds, from a database that has written everything it had to. */
export async function timed(db: ForgeflowDatabase, work: () => Promise<void>): Promise<number> {
  await sql`checkpoint`.execute(db);
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/**
 * Nothing but git and COPY: the text of every file that is indexed, beside its path. Git is read and rows are written as the
 * index does it, which is as fast as we can.
 * @param trigrams with a trigram index on the text, which Postgres makes at the end, when that is quickest
 */
export async function pipe(
  db: ForgeflowDatabase,
  clone: Clone,
  commit: string,
  { trigrams }: { trigrams: boolean },
): Promise<void> {
  await withConnection(db, async ({ client }) => {
    await client.query('begin');
    await client.query('create table bare_pipe (path text not null, content text)');
    const copy = new CopyRows(client, 'bare_pipe', ['path', 'content']);
    for await (const { wanted, content } of readBlobs(clone, filesOf(clone, commit), {
      limitBytes: INDEXED_CONTENT_LIMIT,
    })) {
      await copy.add([wanted.path, content === null ? null : indexedText(content)]);
    }
    await copy.end();
    if (trigrams) {
      const { rows } = await client.query<{ schema: string }>(
        `select extnamespace::regnamespace::text as schema from pg_extension where extname = 'pg_trgm'`,
      );
      await client.query(`set local maintenance_work_mem = '256MB'`);
      await client.query(`create index on bare_pipe using gin (content ${rows[0]?.schema ?? ''}.gin_trgm_ops)`);
    }
    await client.query('commit');
  });
}

export async function dropPipe(db: ForgeflowDatabase): Promise<void> {
  await sql`drop table bare_pipe`.execute(db);
}

async function* filesOf(clone: Clone, commit: string): AsyncGenerator<TreeEntry & { sizeBytes: number }> {
  for await (const entry of treeEntries(clone, commit)) {
    if (entry.sizeBytes !== null) yield { ...entry, sizeBytes: entry.sizeBytes };
  }
}

/** The job, with a clone that is up to date. */
export interface Indexer {
  repositoryId: number;
  /** Moves the default branch there, untimed. */
  moveTo(commit: string): Promise<void>;
  reindex(): Promise<{ files: number; read: number }>;
  /** Empties the index. */
  reset(): Promise<void>;
}

export async function openIndexer(db: ForgeflowDatabase, clone: Clone, path: string): Promise<Indexer> {
  const { rows } = await sql<{ id: number }>`
    insert into repositories (gitlab_id, path, last_seen_at, tracked_at)
    select coalesce(max(gitlab_id), 0) + 1, ${path}, now(), now() from repositories returning id
  `.execute(db);
  const repositoryId = rows[0]!.id;
  const search = createSearch({ db, clones: { use: (_, work, signal) => work({ ...clone, signal }) } });
  return {
    repositoryId,
    async moveTo(commit) {
      await runIn(clone, ['update-ref', 'refs/heads/main', commit]);
    },
    async reindex() {
      const { files, read } = await search.reindex_search(
        { repositoryId },
        { signal: new AbortController().signal, now: Date.now() },
      );
      return { files: Number(files), read: Number(read) };
    },
    async reset() {
      await sql`truncate search_indexes, search_files, search_words`.execute(db);
    },
  };
}
