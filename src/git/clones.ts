import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clone } from './clone.ts';
import type { Remote } from './credentials.ts';
import { diskUsage } from './disk-usage.ts';
import { cloneAnew, fetchInto } from './fetch.ts';
import type { Git } from './git.ts';
import { GitError } from './git-error.ts';
import { existsAt, removeLeftovers } from './leftovers.ts';
import { withLock } from './lock.ts';
import { SharedRuns } from './shared-runs.ts';

export interface FetchOptions {
  signal?: AbortSignal | undefined;
  /** For all of it, waiting for others who fetch the same repository included. */
  timeoutMs?: number;
}

const FETCH_TIMEOUT_MS = 30 * 60_000;

/** The clones under `<storage directory>/repositories`, one `<id>.git` for each repository. */
export class Clones {
  readonly #git: Git;
  readonly #folder: string;
  readonly #fetches = new SharedRuns<void>();

  constructor(git: Git, storageDirectory: string) {
    this.#git = git;
    this.#folder = resolve(storageDirectory, 'repositories');
  }

  /** The clone as it lies there, whatever its state. Does nothing by itself. */
  open(id: number, signal?: AbortSignal): Clone {
    return { git: this.#git, directory: this.#directory(id), signal };
  }

  /**
   * The clone as the remote is now, made where it is missing, made anew where it turns out to be broken. Callers of one
   * repository wait for one another; those who wait in this process share one fetch, which begins after they came.
   * @throws GitError
   */
  async fetch(id: number, remote: Remote, options: FetchOptions = {}): Promise<Clone> {
    return this.#fetch(id, remote, options, null);
  }

  /**
   * Does the work with the clone as the remote is now; where it turns out only then that the clone is broken, once
   * more with a fresh one.
   * @throws GitError, and what the work throws
   */
  async use<T>(id: number, remote: Remote, work: (clone: Clone) => Promise<T>, options: FetchOptions = {}): Promise<T> {
    const clone = await this.fetch(id, remote, options);
    const identity = await identityOf(clone.directory);
    try {
      return await work(clone);
    } catch (error) {
      if (!(error instanceof GitError) || error.kind !== 'corrupt') throw error;
      return work(await this.#fetch(id, remote, options, identity));
    }
  }

  /** What it takes on disk, in bytes; 0 where there is none. */
  async sizeBytes(id: number): Promise<number> {
    return diskUsage(this.#directory(id));
  }

  /** The repositories that have one. */
  async ids(): Promise<number[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return names.flatMap((name) => /^(\d+)\.git$/.exec(name)?.[1] ?? []).map(Number);
  }

  /** Takes all of it away; nothing happens where there is none. */
  async remove(id: number, { signal }: FetchOptions = {}): Promise<void> {
    if (!(await existsAt(this.#folder))) return;
    await withLock({ git: this.#git, path: this.#lockPath(id), signal }, async (lock) => {
      await removeLeftovers(this.#directory(id));
      await rm(this.#directory(id), { recursive: true, force: true });
      await lock.removeFile();
    });
  }

  /** @param broken the identity of a clone that is known to be broken: whatever else is there will do */
  async #fetch(id: number, remote: Remote, options: FetchOptions, broken: string | null): Promise<Clone> {
    const { signal, timeoutMs = FETCH_TIMEOUT_MS } = options;
    const deadline = AbortSignal.timeout(timeoutMs);
    const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    const key = JSON.stringify([id, remote.url, remote.token, remote.username, remote.allowHttp, broken]);
    try {
      await this.#fetches.join(key, (shared) => this.#fetchLocked(id, remote, shared, broken), stop);
    } catch (error) {
      signal?.throwIfAborted();
      if (!deadline.aborted) throw error;
      throw new GitError('timeout', `the repository was not fetched within ${timeoutMs} ms`);
    }
    return this.open(id, signal);
  }

  async #fetchLocked(id: number, remote: Remote, signal: AbortSignal, broken: string | null): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const git = this.#git;
    const directory = this.#directory(id);
    await withLock({ git, path: this.#lockPath(id), signal }, async ({ fd }) => {
      const fetching = { git, directory, remote, lock: fd, signal };
      await removeLeftovers(directory);
      const identity = await identityOf(directory);
      const isUsable = identity !== null && identity !== broken;
      if (!isUsable || (await isFoundBroken(fetchInto(fetching)))) await cloneAnew(fetching);
    });
  }

  #directory(id: number): string {
    return join(this.#folder, `${id}.git`);
  }

  #lockPath(id: number): string {
    return join(this.#folder, `${id}.lock`);
  }
}

async function isFoundBroken(fetching: Promise<void>): Promise<boolean> {
  try {
    await fetching;
    return false;
  } catch (error) {
    if (error instanceof GitError && error.kind === 'corrupt') return true;
    throw error;
  }
}

/** Tells a clone from the one that takes its place; null where there is none. */
async function identityOf(directory: string): Promise<string | null> {
  const stats = await lstat(directory).catch(() => null);
  return stats === null ? null : `${stats.ino} ${stats.birthtimeMs}`;
}
