import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const FORGEFLOW = fileURLToPath(new URL('../../bin/forgeflow.js', import.meta.url));

export interface WorkerProcess {
  readonly pid: number;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** What it has logged so far. */
  log(): string;
  kill(signal: NodeJS.Signals): void;
}

/** Runs `forgeflow worker` in a process of its own, and waits until it is at work. */
export async function startWorkerProcess(variables: Record<string, string>): Promise<WorkerProcess> {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [FORGEFLOW, 'worker'], {
    cwd: tmpdir(),
    env: { PATH, HOME, ...variables, LOG_LEVEL: 'info' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const kill = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  const atExit = (): void => {
    kill('SIGKILL');
  };
  process.once('exit', atExit);
  let log = '';
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => {
      process.off('exit', atExit);
      resolve(signal ?? code ?? -1);
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString('utf8');
      if (log.includes('worker started')) resolve();
    });
    void ended.then((how) => {
      reject(new Error(`the worker ended while it started (${how}): ${log}`));
    });
  });
  return { pid: child.pid ?? -1, ended, log: () => log, kill };
}
