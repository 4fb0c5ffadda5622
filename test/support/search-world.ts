import { sql } from 'kysely';
import type { JobClones } from '../../activities/job-clones.ts';
import type { JobDone } from '../../activities/job-context.ts';
import { createSearch } from '../../activities/search.ts';
import { PostingsReader } from '../../src/database/search-postings.ts';
import { searchCode, type FoundLines } from '../../src/database/search-query.ts';
import { parseSearch } from '../../src/domain/search-terms.ts';
import type { Clone } from '../../src/git/clone.ts';
import { createGit, type Git } from '../../src/git/git.ts';
import { cloneDatabase, type TestDatabase } from './database.ts';
import { createRepository, temporaryFolder, type TestRepository } from './git-repository.ts';

export const MAIN = 'refs/heads/main';

/** A database, and git repositories that are indexed into it as the job does. */
export interface SearchWorld {
  database: TestDatabase;
  git: Git;
  /** A new, tracked repository without commits. */
  add(path: string): Promise<SearchedRepository>;
  /** The row of one more that has the same commits. */
  addRow(path: string, tracked?: boolean): Promise<number>;
  search(query: string, options?: { repositoryId?: number; limit?: number }): Promise<FoundLines>;
  close(): Promise<void>;
}

export interface SearchedRepository {
  id: number;
  repository: TestRepository;
  /** @param id another row to index the same commits for */
  reindex(options?: { id?: number; signal?: AbortSignal }): Promise<JobDone>;
}

export async function startSearchWorld(): Promise<SearchWorld> {
  const [database, folder, git] = await Promise.all([cloneDatabase(), temporaryFolder(), createGit()]);
  let rows = 0;

  async function addRow(path: string, tracked = true): Promise<number> {
    rows += 1;
    const { rows: added } = await sql<{ id: number }>`
      insert into repositories (gitlab_id, path, last_seen_at, tracked_at)
      values (${rows}, ${path}, now(), case when ${tracked} then now() end) returning id
    `.execute(database.db);
    return added[0]!.id;
  }

  return {
    database,
    git,
    addRow,
    async add(path) {
      const repository = await createRepository(`${folder.path}/${rows}.git`);
      const id = await addRow(path);
      const job = createSearch({
        db: database.db,
        clones: clonesOf({ git, directory: repository.directory }),
      });
      return {
        id,
        repository,
        reindex: ({ id: other = id, signal = new AbortController().signal } = {}) =>
          job.reindex_search({ repositoryId: other }, { signal, now: Date.now() }),
      };
    },
    search: (query, { repositoryId, limit = 20 } = {}) =>
      searchCode(database.db, { terms: parseSearch(query), repositoryId: repositoryId ?? null, limit }),
    async close() {
      await database.drop();
      await folder.remove();
    },
  };
}

/** Stands for clones that are up to date: the repository itself. */
function clonesOf(clone: Clone): Pick<JobClones, 'use'> {
  return { use: (_, work, signal) => work({ ...clone, signal }) };
}

/** All that is in the index of a repository, whatever numbers it has given: its files, and where each word is. */
export async function indexOf({ db }: TestDatabase, repositoryId: number) {
  const files = await db
    .selectFrom('search_files')
    .select(['number', 'path', 'path_key', 'kind', 'object_id', 'content'])
    .where('repository_id', '=', repositoryId)
    .execute();
  // Two paths can look alike, their keys do not.
  const names = new Map(files.map(({ number, path, path_key }) => [number, `${path} ${path_key.toString('hex')}`]));
  const groups = await db
    .selectFrom('search_words')
    .select(['words', 'files'])
    .where('repository_id', '=', repositoryId)
    .execute();
  const words = new Map<string, string[]>();
  for (const { words: lines, files: postings } of groups) {
    const reader = new PostingsReader(postings);
    for (const word of lines.slice(1, -1).split('\n')) {
      const found = reader.next().flatMap((number) => names.get(number) ?? []);
      if (found.length > 0) words.set(word, [...(words.get(word) ?? []), ...found].sort());
    }
  }
  return {
    files: files
      .map(({ number, object_id, kind, content }) => ({
        name: names.get(number),
        kind,
        content,
        id: object_id.toString('hex'),
      }))
      .sort((a, b) => (a.name! < b.name! ? -1 : 1)),
    words: Object.fromEntries([...words].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}
