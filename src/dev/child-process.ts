import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';

/** A server that we started and must end. */
export interface ChildServer {
  readonly pid: number;
  /** Settles when the process has ended, with its exit code or signal in words. */
  readonly ended: Promise<string>;
  /** What it has printed since it was started. */
  printed(): string;
  /** Sends the first signal, then, each after some patience, the harder ones; resolves when the process has ended. */
  stop(signals: NodeJS.Signals[], patienceMs: number): Promise<void>;
}

export interface ServerCommand {
  command: string;
  args: string[];
  /** What it prints goes here, after what is there already. */
  logFile: string;
  options?: SpawnOptions;
}

/**
 * Starts a server in a process group of its own: Ctrl-C in the terminal reaches a whole group at once, and would end
 * the database before those who still write to it.
 */
export function startServer({ command, args, logFile, options = {} }: ServerCommand): ChildServer {
  const log = openSync(logFile, 'a', 0o600);
  const { size: start } = fstatSync(log);
  const child = spawn(command, args, { ...options, detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  const ended = endOf(child);
  return {
    get pid() {
      return child.pid ?? Number.NaN; // not -1: to kill(2) that is every process there is
    },
    ended,
    printed: () => readFileSync(logFile).subarray(start).toString(),
    async stop(signals, patienceMs) {
      for (const signal of signals) {
        child.kill(signal);
        if (await settlesWithin(ended, patienceMs)) return;
      }
      await ended;
    },
  };
}

async function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      resolve(error.message);
    });
    child.once('exit', (code, signal) => {
      resolve(signal ?? `exit code ${code ?? '?'}`);
    });
  });
}

export async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const settled = await Promise.race([promise.then(() => true), timeout]);
  clearTimeout(timer);
  return settled;
}

/** Asks `ready` until it says yes. @throws Error with the end of the log when the server ends first, or takes too long */
export async function untilReady(
  name: string,
  { server, ready, timeoutMs }: { server: ChildServer; ready: () => Promise<boolean>; timeoutMs: number },
): Promise<void> {
  let end: string | undefined;
  void server.ended.then((how) => {
    end = how;
  });
  const deadline = Date.now() + timeoutMs;
  while (!(await ready())) {
    if (end !== undefined) throw new Error(`${name} ended while it started (${end}): ${lastWords(server)}`);
    if (Date.now() > deadline) {
      await server.stop(['SIGTERM', 'SIGKILL'], 2_000);
      throw new Error(`${name} was not ready within ${timeoutMs / 1000} s: ${lastWords(server)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function lastWords(server: ChildServer): string {
  // The reason stands before the stack of a Go program that panics, which is long.
  const [reason] = server.printed().split(/^(?:panic:|goroutine )/m);
  return (reason ?? '').trim().split('\n').slice(-5).join(' | ');
}
