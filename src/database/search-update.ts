import { type Selectable, sql } from 'kysely';
import { foldUtf8 } from '../domain/fold-utf8.ts';
import { pathText } from '../domain/path-text.ts';
import { type ForgeflowDatabase, type LentConnection, withConnection } from './connection.ts';
import { type NewFile, SearchFiles } from './search-files.ts';
import { SearchSegments } from './search-segments.ts';
import { Vocabulary } from './search-vocabulary.ts';
import type { SearchIndexTable } from './tables.ts';
import { recordHead } from './tracked-repositories.ts';

/** Another number for everything that makes the same files be stored otherwise. */
const FORMAT = 1;
// Postgres' defaults are made for many small queries at once; this is one large piece of work.
const MEMORY = ["set local gin_pending_list_limit = '256MB'", "set local maintenance_work_mem = '128MB'"];

/**
 * Brings the index of a repository up to date, in one transaction: a search sees all of it, or nothing. Who does the same for
 * the same repository waits until then.
 * @returns null where the repository is not tracked
 * @throws the signal's reason once it aborts, and what the work throws; nothing was changed then
 */
export async function updateSearchIndex<T>(
  db: ForgeflowDatabase,
  repositoryId: number,
  work: (update: SearchUpdate) => Promise<T>,
  signal?: AbortSignal,
): Promise<T | null> {
  return withConnection(
    db,
    async (connection) => {
      await connection.client.query(['begin', ...MEMORY].join('; '));
      const update = await SearchUpdate.begin(connection, repositoryId);
      if (update === null) return null;
      const result = await work(update);
      await connection.client.query('commit');
      return result;
    },
    signal,
  );
}

/** The index of one repository while it is brought up to date. In the end, each path has one file. */
export class SearchUpdate {
  /** There was no index yet, or none that could be built on. */
  readonly isNew: boolean;
  /** What was indexed; null: nothing. */
  readonly commit: string | null;
  /** The files that are indexed, to be looked at; they are changed here. */
  readonly stored: SearchFiles;
  readonly #connection: LentConnection;
  readonly #repositoryId: number;
  readonly #segments: SearchSegments;
  #files: number;
  #truncated: boolean;
  #nextFile: number;
  #staleFiles: number;
  #vocabulary = new Vocabulary();

  private constructor(connection: LentConnection, repositoryId: number, index: Selectable<SearchIndexTable>) {
    this.#connection = connection;
    this.#repositoryId = repositoryId;
    this.stored = new SearchFiles(connection, repositoryId);
    this.#segments = new SearchSegments(connection, repositoryId);
    this.isNew = index.format !== FORMAT;
    this.commit = this.isNew ? null : index.commit_sha;
    this.#files = index.files;
    this.#truncated = index.truncated;
    this.#nextFile = index.next_file;
    this.#staleFiles = index.stale_files;
  }

  static async begin(connection: LentConnection, repositoryId: number): Promise<SearchUpdate | null> {
    const { db } = connection;
    // Whoever untracks it waits for the end, and then takes the index away.
    const tracked = await db
      .selectFrom('repositories')
      .select('id')
      .where('id', '=', repositoryId)
      .where('tracked_at', 'is not', null)
      .forKeyShare()
      .executeTakeFirst();
    if (tracked === undefined) return null;
    // Its row is the lock, so it has to be there.
    await sql`
      insert into search_indexes (repository_id, format, commit_sha, indexed_at, files, truncated, next_file, stale_files)
      values (${repositoryId}, 0, null, now(), 0, false, 1, 0) on conflict do nothing
    `.execute(db);
    const index = await db
      .selectFrom('search_indexes')
      .selectAll()
      .where('repository_id', '=', repositoryId)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const update = new SearchUpdate(connection, repositoryId, index);
    if (update.isNew) await update.clear();
    return update;
  }

  /** How many files are indexed, with what was done so far. */
  get files(): number {
    return this.#files;
  }

  /** Whether the commit that was indexed has more files than are. */
  get truncated(): boolean {
    return this.#truncated;
  }

  async remove(numbers: readonly number[]): Promise<void> {
    await this.stored.remove(numbers);
    this.#files -= numbers.length;
    this.#staleFiles += numbers.length;
  }

  /** @param text what is indexed of the content, in UTF-8; null: only the path is */
  async add(file: NewFile, text: Uint8Array | null): Promise<void> {
    const shown = pathText(file.path);
    const number = this.#nextFile;
    this.#nextFile += 1;
    this.#files += 1;
    // Postgres works at the one while words are looked for in the other.
    const copied = this.stored.add(number, file, shown, text);
    this.#vocabulary.addText(number, foldUtf8(Buffer.from(shown)));
    if (text !== null) this.#vocabulary.addText(number, foldUtf8(text));
    await copied;
    if (!this.#vocabulary.isFull) return;
    await this.stored.copied();
    await this.#segments.write(this.#vocabulary);
    this.#vocabulary = new Vocabulary();
  }

  /** Takes everything out. */
  async clear(): Promise<void> {
    await this.stored.clear();
    await this.#segments.clear();
    this.#vocabulary = new Vocabulary();
    this.#files = 0;
    this.#staleFiles = 0;
  }

  /** The index now shows that commit; the repository's head is kept, too. @param commit null: there is none */
  async finish({ commit, branch, truncated }: Finish): Promise<void> {
    await this.stored.copied();
    await this.#segments.writeLast(this.#vocabulary);
    if (this.#staleFiles > Math.max(MANY_STALE, this.#files / 2)) await this.#compact();
    await this.#segments.settle();
    await this.#connection.db
      .updateTable('search_indexes')
      .set({
        format: FORMAT,
        commit_sha: commit,
        indexed_at: new Date(),
        files: this.#files,
        truncated,
        next_file: this.#nextFile,
        stale_files: this.#staleFiles,
      })
      .where('repository_id', '=', this.#repositoryId)
      .execute();
    await this.keepHead({ commit, branch });
  }

  /** What the repository's default branch is, and where it stands. */
  async keepHead({ commit, branch }: Pick<Finish, 'commit' | 'branch'>): Promise<void> {
    await this.stored.copied();
    await recordHead(this.#connection.db, this.#repositoryId, { branch, sha: commit });
  }

  async #compact(): Promise<void> {
    const stored = await this.stored.at(null);
    const alive = new Set(Array.from(stored.values(), ({ number }) => number));
    await this.#segments.compact((file) => alive.has(file));
    this.#staleFiles = 0;
  }
}

export interface Finish {
  commit: string | null;
  branch: string | null;
  truncated: boolean;
}

/** Files that are gone cost a search next to nothing before there are many. */
const MANY_STALE = 1_000;
