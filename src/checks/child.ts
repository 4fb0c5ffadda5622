import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { Launch } from './launch.ts';

export interface ChildEnding {
  /** Null where a signal ended it. */
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  /** The last of it. */
  stderr: string;
}

export interface Child {
  /** When the first process is gone, whether others are left or not. @throws Error where it could not be started */
  readonly exited: Promise<void>;
  /** Asks its process group to end, and makes it a while later. */
  readonly end: () => void;
  /** To be called when all are gone: their pipes are closed then. */
  ending(): Promise<ChildEnding>;
}

/** Of which the last 4,000 characters are shown: so that no secret that reaches into these has its beginning cut off. */
export const LAST_BYTES = 64 * 1024;
const CLOSE_WITHIN_MS = 5_000;

/**
 * Starts a check, as the leader of a process group that is ended when this process is.
 * @param outputBytes of both streams; once there is more, nothing more is read
 */
export function startChild(
  { program, args, env }: Launch,
  { outputBytes, graceMs, onFlood }: { outputBytes: number; graceMs: number; onFlood: () => void },
): Child {
  const child = spawn(program, args, { cwd: '/', env, detached: true, stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
  const lifeline = child.stdio[3] as Writable;
  lifeline.on('error', () => undefined);
  const { stdout, stderr } = child as { stdout: Readable; stderr: Readable };
  const printed: Buffer[] = [];
  let lastErrors = Buffer.alloc(0);
  let bytes = 0;
  const count = (chunk: Buffer): boolean => {
    bytes += chunk.length;
    if (bytes <= outputBytes) return true;
    stdout.destroy();
    stderr.destroy();
    onFlood();
    return false;
  };
  stdout.on('data', (chunk: Buffer) => {
    if (count(chunk)) printed.push(chunk);
  });
  stderr.on('data', (chunk: Buffer) => {
    if (count(chunk)) lastErrors = Buffer.concat([lastErrors, chunk]).subarray(-LAST_BYTES);
  });

  const closed = new Promise<void>((resolve) => child.once('close', resolve));
  let isGone = false;
  let harder: NodeJS.Timeout | undefined;
  const exited = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => {
      isGone = true;
      clearTimeout(harder);
      // Ends what is left of the group.
      lifeline.destroy();
      resolve();
    });
  });
  const kill = (signal: NodeJS.Signals): void => {
    try {
      if (!isGone && child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // It is gone.
    }
  };
  return {
    exited,
    end: () => {
      kill('SIGTERM');
      harder ??= setTimeout(kill, graceMs, 'SIGKILL');
    },
    ending: async () => {
      const timer = setTimeout(() => {
        stdout.destroy();
        stderr.destroy();
      }, CLOSE_WITHIN_MS);
      await closed;
      clearTimeout(timer);
      const { exitCode, signalCode } = child;
      return { exitCode, signal: signalCode, stdout: Buffer.concat(printed), stderr: lastErrors.toString() };
    },
  };
}
