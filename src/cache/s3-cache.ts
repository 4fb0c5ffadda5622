import pLimit from 'p-limit';
import {
  type Artefact,
  type ArtefactCache,
  CacheError,
  type FoundArtefact,
  type NewArtefact,
} from './artefact-cache.ts';
import { keyOf, keyProblem, nameOf } from './artefact-name.ts';
import { S3Bucket, type S3Settings } from './s3-bucket.ts';
import { timeOfUse } from './use-clock.ts';

export interface S3CacheSettings extends S3Settings {
  /** Before all names: `forgeflow/`, or nothing. */
  prefix?: string | undefined;
}

interface Use {
  object: string;
  name: string;
  /** Epoch microseconds. */
  at: number;
}

const DELETES_AT_ONCE = 8;
const ORPHANED_AFTER_US = 3_600_000_000;

/**
 * Artefacts in a bucket: `<prefix><repository>/artefacts/<name of the key>`. No store keeps when an object was last read,
 * and of writing no more than the second, so each use is an empty object of its own that has the time in its name:
 * `<prefix><repository>/uses/<name of the key>/<16 digits>`. The last one counts; older ones are taken away as they are met.
 */
export class S3Cache implements ArtefactCache {
  readonly #bucket: S3Bucket;
  readonly #prefix: string;

  constructor({ prefix = '', ...settings }: S3CacheSettings) {
    if (!/^[A-Za-z0-9._/-]*$/.test(prefix) || prefix.startsWith('/')) {
      throw new CacheError('the prefix of the cache has characters other than letters, digits and . _ / -');
    }
    this.#bucket = new S3Bucket(settings);
    this.#prefix = prefix;
  }

  async put(repositoryId: number, { key, sizeBytes, content }: NewArtefact, signal?: AbortSignal): Promise<void> {
    const name = checkedName(key);
    await this.#bucket.put(`${this.#artefacts(repositoryId)}${name}`, content, sizeBytes, signal);
    await this.#use(repositoryId, name, signal);
  }

  async get(repositoryId: number, key: string, signal?: AbortSignal): Promise<FoundArtefact | null> {
    const name = checkedName(key);
    const found = await this.#bucket.get(`${this.#artefacts(repositoryId)}${name}`, signal);
    if (found === null) return null;
    try {
      await this.#use(repositoryId, name, signal);
    } catch (error) {
      found.content.on('error', () => undefined).destroy();
      throw error;
    }
    return found;
  }

  async find(repositoryId: number, key: string, signal?: AbortSignal): Promise<{ sizeBytes: number } | null> {
    return this.#bucket.find(`${this.#artefacts(repositoryId)}${checkedName(key)}`, signal);
  }

  async delete(repositoryId: number, key: string, unusedSince = Infinity, signal?: AbortSignal): Promise<boolean> {
    const name = checkedName(key);
    const uses = await this.#usesOf(repositoryId, `${name}/`, signal);
    if (uses.some(({ at }) => at / 1000 > unusedSince)) return false;
    await this.#bucket.delete(`${this.#artefacts(repositoryId)}${name}`, signal);
    await this.#deleteAll(
      uses.map(({ object }) => object),
      signal,
    );
    return true;
  }

  async list(repositoryId: number, signal?: AbortSignal): Promise<Artefact[]> {
    const uses = await this.#usesOf(repositoryId, '', signal);
    const folder = this.#artefacts(repositoryId);
    const objects = await this.#bucket.list(folder, signal);
    const names = new Set(objects.map(({ name }) => name.slice(folder.length)));
    const last = new Map<string, number>();
    for (const { name, at } of uses) last.set(name, Math.max(at, last.get(name) ?? 0));
    const orphanedBefore = Date.now() * 1000 - ORPHANED_AFTER_US;
    const stale = uses.filter(({ name, at }) => at < (names.has(name) ? (last.get(name) ?? 0) : orphanedBefore));
    await this.#deleteAll(
      stale.map(({ object }) => object),
      signal,
    );
    return objects.flatMap(({ name: object, sizeBytes, modifiedAt }) => {
      const name = object.slice(folder.length);
      const [key, at] = [keyOf(name), last.get(name)];
      return key === null ? [] : [{ key, sizeBytes, lastUsedAt: at === undefined ? modifiedAt : at / 1000 }];
    });
  }

  async purge(repositoryId: number, signal?: AbortSignal): Promise<void> {
    const objects = await this.#bucket.list(this.#folder(repositoryId), signal);
    await this.#deleteAll(
      objects.map(({ name }) => name),
      signal,
    );
  }

  async #use(repositoryId: number, name: string, signal: AbortSignal | undefined): Promise<void> {
    const before = await this.#usesOf(repositoryId, `${name}/`, signal);
    const now = timeOfUse();
    const object = `${this.#folder(repositoryId)}uses/${name}/${String(now).padStart(16, '0')}`;
    await this.#bucket.put(object, Buffer.alloc(0), 0, signal);
    const older = before.filter(({ at }) => at < now);
    await this.#deleteAll(
      older.map((use) => use.object),
      signal,
    );
  }

  async #usesOf(repositoryId: number, prefix: string, signal: AbortSignal | undefined): Promise<Use[]> {
    const folder = `${this.#folder(repositoryId)}uses/`;
    const objects = await this.#bucket.list(`${folder}${prefix}`, signal);
    return objects.flatMap(({ name: object }) => {
      const [, name, at] = /^([^/]+)\/(\d{16})$/.exec(object.slice(folder.length)) ?? [];
      return name === undefined ? [] : [{ object, name, at: Number(at) }];
    });
  }

  async #deleteAll(objects: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const limit = pLimit(DELETES_AT_ONCE);
    await Promise.all(objects.map((object) => limit(() => this.#bucket.delete(object, signal))));
  }

  #artefacts(repositoryId: number): string {
    return `${this.#folder(repositoryId)}artefacts/`;
  }

  #folder(repositoryId: number): string {
    if (!Number.isSafeInteger(repositoryId)) throw new CacheError('the id of a repository is a whole number');
    return `${this.#prefix}${repositoryId}/`;
  }
}

function checkedName(key: string): string {
  const problem = keyProblem(key);
  if (problem !== null) throw new CacheError(`the key of an artefact ${problem}`);
  return nameOf(key);
}
