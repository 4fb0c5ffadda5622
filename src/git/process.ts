import type { Readable, Writable } from 'node:stream';
import { execa } from 'execa';
import { environmentOf, type Surroundings } from './environment.ts';
import type { Git } from './git.ts';
import { GitError } from './git-error.ts';
import { processGroup } from './process-group.ts';

export interface GitCommand extends Surroundings {
  /** The subcommand first. */
  args: readonly string[];
  /** Where it runs; the root where it does not matter. */
  cwd?: string;
  signal?: AbortSignal | undefined;
  /** Null, or left out, where the signal alone limits it. */
  timeoutMs?: number | null;
  hasInput?: boolean;
  /**
   * An open file whose lock git and all its children hold, however this process ends, until the last of them has ended.
   * They are ended when this process is.
   */
  lock?: number | undefined;
}

export interface Ending {
  /** Null where a signal ended it. */
  exitCode: number | null;
  /** The last of what it printed to stderr. */
  stderr: string;
}

export interface RunningGit {
  /** The leader of its process group. */
  readonly pid: number | undefined;
  readonly stdin: Writable | null;
  /** To be read at once: what comes while nobody reads is lost. */
  readonly stdout: Readable;
  /**
   * @throws the signal's reason once it aborts
   * @throws GitError `timeout`; `failed` where git could not be started
   */
  readonly ended: Promise<Ending>;
  /** Ends git and its children. */
  end(): void;
}

export const LOCK_FD = 3;
const LIFELINE_FD = 4;
const STDERR_LIMIT = 64 * 1024;

// Waits for the other end of the lifeline to close, which happens also when this process is killed, and then ends the
// whole process group. It holds neither the lock nor the pipes that we read.
const LIFELINE = `(cat <&${LIFELINE_FD}; kill -TERM 0) ${LOCK_FD}<&- >/dev/null 2>&1 & exec "$0" "$@" ${LIFELINE_FD}<&-`;

/** Starts git in a process group of its own: its helpers, which do the talking to servers, end with it. */
export function startGit(git: Git, command: GitCommand): RunningGit {
  const { args, cwd = '/', signal, timeoutMs = null, hasInput = false, lock } = command;
  signal?.throwIfAborted();
  const [program, given] = lock === undefined ? [git.program, args] : ['sh', ['-c', LIFELINE, git.program, ...args]];
  const child = execa(program, given, {
    cwd,
    env: environmentOf(git, command),
    extendEnv: false,
    detached: true,
    reject: false,
    buffer: false,
    encoding: 'buffer',
    stdio: [
      hasInput ? 'pipe' : 'ignore',
      'pipe',
      'pipe',
      ...(lock === undefined ? [] : [lock as typeof LOCK_FD, 'pipe' as const]),
    ],
  });
  const lifeline = child.stdio[LIFELINE_FD] as Writable | undefined;
  const group = processGroup(child.pid);
  let whyEnded: unknown;
  const breakOff = (reason: unknown): void => {
    whyEnded ??= reason;
    group.end();
  };
  const abort = (): void => {
    breakOff(signal?.reason);
  };
  const timer =
    timeoutMs === null
      ? undefined
      : setTimeout(() => {
          breakOff(new GitError('timeout', `git ${args[0] ?? ''} was not done within ${timeoutMs} ms`));
        }, timeoutMs);
  signal?.addEventListener('abort', abort, { once: true });
  const stderr = lastOf(child.stderr);
  const { stdin } = child;
  stdin?.on('error', () => undefined); // it ended before it had read all; its exit code says why
  lifeline?.on('error', () => undefined);
  child.once('exit', () => {
    lifeline?.destroy();
  });

  async function end(): Promise<Ending> {
    const result = await child;
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    group.isGone();
    if (whyEnded !== undefined) throw whyEnded as Error;
    if (result.exitCode === undefined && result.signal === undefined) throw notStarted(git, result.code);
    return { exitCode: result.exitCode ?? null, stderr: stderr() };
  }
  const ended = end();
  ended.catch(() => undefined); // whoever awaits it hears of it; who has left before does not care
  return { pid: child.pid, stdin, stdout: child.stdout, ended, end: group.end };
}

function notStarted(git: Git, code: string | undefined): GitError {
  if (code === 'ENOENT') return new GitError('failed', `the program ${git.program} was not found`);
  return new GitError('failed', `the program ${git.program} could not be started: ${code ?? 'unknown reason'}`);
}

function lastOf(stream: Readable): () => string {
  let kept = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    kept = Buffer.concat([kept, chunk]).subarray(-STDERR_LIMIT);
  });
  return () => kept.toString();
}
