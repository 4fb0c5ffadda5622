import { constants } from 'node:fs';
import { type FileHandle, open, stat, unlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Git } from './git.ts';
import { GitError } from './git-error.ts';
import { LOCK_FD } from './process.ts';

export interface Lock {
  /** For the processes that are to hold the lock as well. */
  readonly fd: number;
  /** Takes the file away, as what it locked; whoever waits for it makes a new one. */
  removeFile(): Promise<void>;
}

interface LockOptions {
  git: Git;
  path: string;
  signal?: AbortSignal | undefined;
}

/**
 * Does the work while nobody else, in this process or another one of this machine, holds the lock of that name.
 *
 * It is flock(2) on an open file: the kernel gives it up when the last process that has the file open is gone. So it
 * needs no sign of life, no age, and nobody who decides that another is dead; and a git that outlives a killed worker
 * still keeps the next one out.
 * @throws the signal's reason once it aborts
 */
export async function withLock<T>(options: LockOptions, work: (lock: Lock) => Promise<T>): Promise<T> {
  for (;;) {
    options.signal?.throwIfAborted();
    const file = await openLocked(options);
    try {
      // Whoever had it may have taken the file away; then it locks nothing any more.
      if (!(await isStill(file, options.path))) continue;
      return await work({ fd: file.fd, removeFile: () => unlink(options.path) });
    } finally {
      await file.close();
    }
  }
}

async function openLocked(options: LockOptions): Promise<FileHandle> {
  if (process.platform === 'darwin') return openLockedOnDarwin(options);
  const file = await open(options.path, 'a', 0o600);
  try {
    await lockFile(file, options);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Node has no call for it. The lock belongs to the open file, which the program `flock` has in common with us. */
async function lockFile(file: FileHandle, { git, signal }: LockOptions): Promise<void> {
  const result = await execa('flock', ['-x', String(LOCK_FD)], {
    stdio: ['ignore', 'ignore', 'ignore', file.fd as 3], // execa's types know small numbers alone
    env: { PATH: git.path },
    extendEnv: false,
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  signal?.throwIfAborted();
  if (result.exitCode === 0) return;
  const reason = result.code === 'ENOENT' ? 'it was not found' : `exit code ${result.exitCode ?? 'none'}`;
  throw new GitError('failed', `the program flock could not lock the clone: ${reason}`);
}

const O_EXLOCK = 0x20;
const POLL_MS = 50;

/** There open(2) does it, but no program. */
async function openLockedOnDarwin({ path, signal }: LockOptions): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants;
  for (;;) {
    try {
      return await open(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_EXLOCK, 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    await sleep(POLL_MS);
    signal?.throwIfAborted();
  }
}

async function isStill(file: FileHandle, path: string): Promise<boolean> {
  try {
    const [ours, there] = await Promise.all([file.stat(), stat(path)]);
    return ours.ino === there.ino && ours.dev === there.dev;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
