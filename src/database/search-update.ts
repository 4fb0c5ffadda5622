import { createHash } from 'node:crypto';
import { isAscii } from 'node:buffer';
import { type Selectable, sql } from 'kysely';
import { pathText } from '../domain/index-policy.ts';
import { foldCase } from '../domain/search-terms.ts';
import { type Database, type ForgeflowDatabase, type LentConnection, withConnection } from './connection.ts';
import { CopyRows } from './copy-rows.ts';
import { SearchSegments } from './search-segments.ts';
import { Vocabulary } from './search-vocabulary.ts';
import type { SearchFileTable, SearchIndexTable } from './tables.ts';
import { recordHead } from './tracked-repositories.ts';

/** What a file is indexed as; whatever of it changes, it is indexed anew. */
export interface FileIdentity {
  kind: SearchFileTable['kind'];
  /** Of the blob, or of a submodule's commit, hexadecimal. */
  objectId: string;
}

export interface NewFile extends FileIdentity {
  /** As git has it. */
  path: Buffer;
}

export interface StoredFile extends FileIdentity {
  number: number;
}

/** Another number for everything that makes the same files be stored otherwise. */
const FORMAT = 1;
const KEYS_AT_ONCE = 5_000;
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
  readonly #connection: LentConnection;
  readonly #repositoryId: number;
  readonly #segments: SearchSegments;
  #files: number;
  #truncated: boolean;
  #nextFile: number;
  #staleFiles: number;
  #vocabulary = new Vocabulary();
  #copy: CopyRows | null = null;

  private constructor(connection: LentConnection, repositoryId: number, stored: Stored) {
    this.#connection = connection;
    this.#repositoryId = repositoryId;
    this.#segments = new SearchSegments(connection, repositoryId);
    this.isNew = stored.format !== FORMAT;
    this.commit = this.isNew ? null : stored.commit_sha;
    this.#files = stored.files;
    this.#truncated = stored.truncated;
    this.#nextFile = stored.next_file;
    this.#staleFiles = stored.stale_files;
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
    const stored = await db
      .selectFrom('search_indexes')
      .selectAll()
      .where('repository_id', '=', repositoryId)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const update = new SearchUpdate(connection, repositoryId, stored);
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

  /** What is indexed at those paths, by `pathKey`; at all of them where none are given. */
  async filesAt(paths: readonly Buffer[] | null): Promise<Map<string, StoredFile>> {
    const found = new Map<string, StoredFile>();
    const parts = paths === null ? [null] : chunks(paths.map(keyOf), KEYS_AT_ONCE);
    for (const keys of parts) {
      let query = (await this.#idle())
        .selectFrom('search_files')
        .select(['path_key', 'number', 'kind', 'object_id'])
        .where('repository_id', '=', this.#repositoryId);
      if (keys !== null) query = query.where('path_key', '=', sql<Buffer>`any(${keys}::bytea[])`);
      for (const row of await query.execute()) {
        const { number, kind } = row;
        found.set(row.path_key.toString('latin1'), { number, kind, objectId: row.object_id.toString('hex') });
      }
    }
    return found;
  }

  /** Of those blobs, the ones of files that are indexed. */
  async knownObjects(objectIds: readonly string[]): Promise<Set<string>> {
    const known = new Set<string>();
    for (const ids of chunks(objectIds, KEYS_AT_ONCE)) {
      const rows = await this.#filesOf(await this.#idle(), ids)
        .select('object_id')
        .execute();
      for (const { object_id } of rows) known.add(object_id.toString('hex'));
    }
    return known;
  }

  /** The contents of those of the files, not more than a few, that are indexed already; null where only the path is. */
  async contentsOf(objectIds: readonly string[]): Promise<Map<string, Buffer | null>> {
    const rows = await this.#filesOf(await this.#idle(), objectIds)
      .distinctOn('object_id')
      .select(['object_id', 'content'])
      .execute();
    return new Map(
      rows.map(({ object_id, content }) => [object_id.toString('hex'), content === null ? null : Buffer.from(content)]),
    );
  }

  #filesOf(db: Database, objectIds: readonly string[]) {
    const ids = objectIds.map((id) => Buffer.from(id, 'hex'));
    return db
      .selectFrom('search_files')
      .where('repository_id', '=', this.#repositoryId)
      .where('object_id', '=', sql<Buffer>`any(${ids}::bytea[])`)
      .where('kind', '=', 'file');
  }

  async remove(numbers: readonly number[]): Promise<void> {
    for (const some of chunks(numbers, KEYS_AT_ONCE)) {
      await sql`
        delete from search_files where repository_id = ${this.#repositoryId} and number = any(${some}::int[])
      `.execute(await this.#idle());
    }
    this.#files -= numbers.length;
    this.#staleFiles += numbers.length;
  }

  /** @param text what is indexed of the content, in UTF-8; null: only the path is */
  async add({ path, kind, objectId }: NewFile, text: Uint8Array | null): Promise<void> {
    const shown = pathText(path);
    this.#copy ??= new CopyRows(this.#connection.client, 'search_files', COLUMNS);
    const number = this.#nextFile;
    this.#nextFile += 1;
    this.#files += 1;
    const row = [this.#repositoryId, number, keyOf(path), Buffer.from(shown), KINDS[kind]];
    // Postgres works at the one while words are looked for in the other.
    const copied = this.#copy.add([...row, Buffer.from(objectId, 'hex'), text]);
    this.#vocabulary.addText(number, Buffer.from(foldCase(shown)));
    if (text !== null) this.#vocabulary.addText(number, isAscii(text) ? text : Buffer.from(foldCase(decode(text))));
    await copied;
    if (!this.#vocabulary.isFull) return;
    await this.#idle();
    await this.#segments.write(this.#vocabulary);
    this.#vocabulary = new Vocabulary();
  }

  /** Takes everything out. */
  async clear(): Promise<void> {
    const db = await this.#idle();
    await db.deleteFrom('search_files').where('repository_id', '=', this.#repositoryId).execute();
    await this.#segments.clear();
    this.#vocabulary = new Vocabulary();
    this.#files = 0;
    this.#staleFiles = 0;
  }

  /** The index now shows that commit; the repository's head is kept, too. @param commit null: there is none */
  async finish({ commit, branch, truncated }: Finish): Promise<void> {
    const db = await this.#idle();
    await this.#segments.writeLast(this.#vocabulary);
    if (this.#staleFiles > Math.max(MANY_STALE, this.#files / 2)) await this.#compact();
    await this.#segments.settle();
    await db
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
    await recordHead(await this.#idle(), this.#repositoryId, { branch, sha: commit });
  }

  async #compact(): Promise<void> {
    const stored = await this.filesAt(null);
    const alive = new Set(Array.from(stored.values(), ({ number }) => number));
    await this.#segments.compact((file) => alive.has(file));
    this.#staleFiles = 0;
  }

  /** While rows are copied, the connection can do nothing else. */
  async #idle() {
    const copy = this.#copy;
    this.#copy = null;
    await copy?.end();
    return this.#connection.db;
  }
}

export interface Finish {
  commit: string | null;
  branch: string | null;
  truncated: boolean;
}

type Stored = Selectable<SearchIndexTable>;

const COLUMNS = ['repository_id', 'number', 'path_key', 'path', 'kind', 'object_id', 'content'];
const KINDS = { file: Buffer.from('file'), symlink: Buffer.from('symlink'), submodule: Buffer.from('submodule') };
/** Files that are gone cost a search next to nothing before there are many. */
const MANY_STALE = 1_000;

/** What a path is found by; the same for the same path only. */
export function pathKey(path: Buffer): string {
  return keyOf(path).toString('latin1');
}

const LONGEST_KEY = 128;

/** Paths need be no text, and can be longer than a key of a Postgres index: of those that are, a part and a hash. */
function keyOf(path: Buffer): Buffer {
  if (path.length <= LONGEST_KEY) return path;
  return Buffer.concat([path.subarray(0, LONGEST_KEY), createHash('sha256').update(path).digest()]);
}

function decode(text: Uint8Array): string {
  return Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString();
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size));
}
