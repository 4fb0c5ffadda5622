import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import type { LentConnection } from './connection.ts';
import { CopyRows } from './copy-rows.ts';
import type { SearchFileTable } from './tables.ts';

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

const KEYS_AT_ONCE = 5_000;
const COLUMNS = ['repository_id', 'number', 'path_key', 'path', 'kind', 'object_id', 'content'];
const KINDS = { file: Buffer.from('file'), symlink: Buffer.from('symlink'), submodule: Buffer.from('submodule') };

/** The files of one repository's index. While rows are copied the connection can do nothing else: see `copied`. */
export class SearchFiles {
  readonly #connection: LentConnection;
  readonly #repositoryId: number;
  #copy: CopyRows | null = null;

  constructor(connection: LentConnection, repositoryId: number) {
    this.#connection = connection;
    this.#repositoryId = repositoryId;
  }

  /** What is indexed at those paths, by `pathKey`; at all of them where none are given. */
  async at(paths: readonly Buffer[] | null): Promise<Map<string, StoredFile>> {
    await this.copied();
    const found = new Map<string, StoredFile>();
    for (const keys of paths === null ? [null] : chunks(paths.map(keyOf), KEYS_AT_ONCE)) {
      let query = this.#own().select(['path_key', 'number', 'kind', 'object_id']);
      if (keys !== null) query = query.where('path_key', '=', sql<Buffer>`any(${keys}::bytea[])`);
      for (const { path_key, number, kind, object_id } of await query.execute()) {
        found.set(path_key.toString('latin1'), { number, kind, objectId: object_id.toString('hex') });
      }
    }
    return found;
  }

  /** Of those blobs, the ones of files that are indexed. */
  async known(objectIds: readonly string[]): Promise<Set<string>> {
    await this.copied();
    const known = new Set<string>();
    for (const ids of chunks(objectIds, KEYS_AT_ONCE)) {
      const rows = await this.#of(ids).select('object_id').execute();
      for (const { object_id } of rows) known.add(object_id.toString('hex'));
    }
    return known;
  }

  /** The contents of those of the blobs, not more than a few, that are indexed already; null where only the path is. */
  async contentsOf(objectIds: readonly string[]): Promise<Map<string, Buffer | null>> {
    await this.copied();
    const rows = await this.#of(objectIds).distinctOn('object_id').select(['object_id', 'content']).execute();
    return new Map(
      rows.map(({ object_id, content }) => [object_id.toString('hex'), content === null ? null : Buffer.from(content)]),
    );
  }

  /** Not there for others before `copied`. @param text in UTF-8. @param shown the path for people */
  async add(number: number, { path, kind, objectId }: NewFile, shown: string, text: Uint8Array | null): Promise<void> {
    this.#copy ??= new CopyRows(this.#connection.client, 'search_files', COLUMNS);
    const row = [this.#repositoryId, number, keyOf(path), Buffer.from(shown), KINDS[kind]];
    await this.#copy.add([...row, Buffer.from(objectId, 'hex'), text]);
  }

  async remove(numbers: readonly number[]): Promise<void> {
    await this.copied();
    for (const some of chunks(numbers, KEYS_AT_ONCE)) {
      await sql`
        delete from search_files where repository_id = ${this.#repositoryId} and number = any(${some}::int[])
      `.execute(this.#connection.db);
    }
  }

  async clear(): Promise<void> {
    await this.copied();
    await this.#connection.db.deleteFrom('search_files').where('repository_id', '=', this.#repositoryId).execute();
  }

  /** When it is done, all that was added is there, and the connection is free. */
  async copied(): Promise<void> {
    const copy = this.#copy;
    this.#copy = null;
    await copy?.end();
  }

  #own() {
    return this.#connection.db.selectFrom('search_files').where('repository_id', '=', this.#repositoryId);
  }

  #of(objectIds: readonly string[]) {
    const ids = objectIds.map((id) => Buffer.from(id, 'hex'));
    return this.#own()
      .where('object_id', '=', sql<Buffer>`any(${ids}::bytea[])`)
      .where('kind', '=', 'file');
  }
}

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

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size));
}
