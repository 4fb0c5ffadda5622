import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  type Artefact,
  type ArtefactCache,
  CacheError,
  type FoundArtefact,
  type NewArtefact,
} from './artefact-cache.ts';
import { keyOf, keyProblem, nameOf } from './artefact-name.ts';
import { timeOfUse } from './use-clock.ts';

/** One that is being written; no name of a key begins like that. */
const PARTIAL = '.partial-';
/** Nobody takes that long from one piece to the next. */
const ABANDONED_AFTER_MS = 60 * 60_000;

/**
 * Artefacts in a folder, `<repository>/<name of the key>`. A file's time of change is that of its last use. A file that is
 * being read can be taken away or replaced all the same: whoever has it open reads on.
 */
export class FolderCache implements ArtefactCache {
  readonly #root: string;

  constructor(root: string) {
    this.#root = resolve(root);
  }

  async put(repositoryId: number, { key, sizeBytes, content }: NewArtefact, signal?: AbortSignal): Promise<void> {
    const path = this.#path(repositoryId, key);
    const partial = join(this.#folder(repositoryId), `${PARTIAL}${randomUUID()}`);
    try {
      const file = await this.#create(repositoryId, partial);
      try {
        await write(file, content, sizeBytes, signal);
        await touch(file);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(partial, path);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  async get(repositoryId: number, key: string, signal?: AbortSignal): Promise<FoundArtefact | null> {
    signal?.throwIfAborted();
    const file = await unlessMissing(open(this.#path(repositoryId, key), 'r'));
    if (file === null) return null;
    try {
      await touch(file);
      const { size } = await file.stat();
      return { sizeBytes: size, content: file.createReadStream({ signal }) };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async find(repositoryId: number, key: string): Promise<{ sizeBytes: number } | null> {
    const stats = await unlessMissing(lstat(this.#path(repositoryId, key)));
    return stats === null ? null : { sizeBytes: stats.size };
  }

  async delete(repositoryId: number, key: string, unusedSince = Infinity): Promise<boolean> {
    const path = this.#path(repositoryId, key);
    const stats = await unlessMissing(lstat(path));
    if (stats === null) return true;
    if (lastUseOf(stats) > unusedSince) return false;
    await unlessMissing(unlink(path));
    return true;
  }

  async list(repositoryId: number, signal?: AbortSignal): Promise<Artefact[]> {
    const folder = this.#folder(repositoryId);
    const artefacts: Artefact[] = [];
    for (const name of (await unlessMissing(readdir(folder))) ?? []) {
      signal?.throwIfAborted();
      const path = join(folder, name);
      const stats = await unlessMissing(lstat(path));
      if (stats?.isFile() !== true) continue;
      const key = keyOf(name);
      if (key !== null) artefacts.push({ key, sizeBytes: stats.size, lastUsedAt: lastUseOf(stats) });
      // What a process that was killed has left.
      else if (name.startsWith(PARTIAL) && Date.now() - stats.mtimeMs > ABANDONED_AFTER_MS) {
        await unlessMissing(unlink(path));
      }
    }
    return artefacts;
  }

  async purge(repositoryId: number): Promise<void> {
    // More than once, where somebody puts something into it meanwhile.
    await rm(this.#folder(repositoryId), { recursive: true, force: true, maxRetries: 5 });
  }

  async #create(repositoryId: number, partial: string): Promise<FileHandle> {
    for (;;) {
      await mkdir(this.#folder(repositoryId), { recursive: true, mode: 0o700 });
      // Null where somebody has purged the repository in between.
      const file = await unlessMissing(open(partial, 'wx', 0o600));
      if (file !== null) return file;
    }
  }

  #folder(repositoryId: number): string {
    if (!Number.isSafeInteger(repositoryId)) throw new CacheError('the id of a repository is a whole number');
    return join(this.#root, String(repositoryId));
  }

  #path(repositoryId: number, key: string): string {
    const problem = keyProblem(key);
    if (problem !== null) throw new CacheError(`the key of an artefact ${problem}`);
    return join(this.#folder(repositoryId), nameOf(key));
  }
}

async function write(
  file: FileHandle,
  content: NewArtefact['content'],
  sizeBytes: number,
  signal?: AbortSignal,
): Promise<void> {
  let written = 0;
  for await (const chunk of Buffer.isBuffer(content) ? [content] : content) {
    signal?.throwIfAborted();
    written += chunk.length;
    if (written > sizeBytes) break;
    await file.writeFile(chunk);
  }
  if (written !== sizeBytes) throw new CacheError(`the artefact has not the ${sizeBytes} bytes that were said`);
}

async function touch(file: FileHandle): Promise<void> {
  // Half a microsecond more, for what is less is cut off.
  const seconds = (timeOfUse() + 0.5) / 1_000_000;
  await file.utimes(seconds, seconds);
}

/** To the microsecond. */
function lastUseOf({ mtimeMs }: Stats): number {
  return Math.floor(mtimeMs * 1000) / 1000;
}

async function unlessMissing<T>(doing: Promise<T>): Promise<T | null> {
  try {
    return await doing;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
