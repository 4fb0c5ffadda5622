import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

/** The command as a clone has it; the tests build it once, since that starts faster. */
export const FORGEFLOW =
  process.env['FORGEFLOW_PROGRAM'] ?? fileURLToPath(new URL('../../bin/forgeflow.js', import.meta.url));

/** A `forgeflow worker` in a process of its own. It ends with ours at the latest. */
export interface WorkerProcess {
  readonly pid: number;
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Whether it came to be at work, as soon as that is known: false when it ended before. */
  readonly atWork: Promise<boolean>;
  /** What it has logged so far. */
  log(): string;
  kill(signal: NodeJS.Signals): void;
}

/**
 * @param variables its environment, besides what finds programs
 * @param logFile where what it logs is written to as well
 */
export function spawnWorker(variables: Record<string, string>, logFile?: string): WorkerProcess {
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [FORGEFLOW, 'worker'], {
    cwd: tmpdir(), // away from the settings of a clone
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
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => {
      process.off('exit', atExit);
      resolve(signal ?? code ?? -1);
    });
  });
  let log = '';
  const atWork = new Promise<boolean>((resolve) => {
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString('utf8');
      if (logFile !== undefined) appendFileSync(logFile, chunk);
      if (log.includes('worker started')) resolve(true);
    });
    void ended.then(() => {
      resolve(false);
    });
  });
  return { pid: child.pid ?? Number.NaN, ended, atWork, log: () => log, kill };
}
