import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readRunningServices } from '../../src/running-services.ts';
import { stopStaleServer } from '../../src/dev/stale-server.ts';
import { Refusal } from '../../src/domain/refusal.ts';

/**
 * Empties the show's home, so that it is the same every time. Servers of a show that was killed are ended first, while
 * there still is something to know them by.
 * @throws Refusal when another show is on there
 */
export async function emptyHome(home: string): Promise<void> {
  const other = readRunningServices(home);
  if (other !== undefined)
    throw new Refusal('conflict', `a demo is running in this folder already (pid ${other.pid}); Ctrl-C ends it there`);
  const [postgres, temporalDb] = [join(home, 'postgres'), join(home, 'temporal.db')];
  await Promise.all([
    stopStaleServer({
      pid: pidIn(join(postgres, 'postmaster.pid')),
      itsArguments: ['postgres', postgres],
      signals: ['SIGINT', 'SIGQUIT'],
    }),
    stopStaleServer({
      pid: pidIn(join(home, 'temporal.pid')),
      itsArguments: ['start-dev', temporalDb],
      signals: ['SIGTERM', 'SIGKILL'],
    }),
  ]);
  rmSync(home, { recursive: true, force: true });
}

/** NaN where there is none. */
function pidIn(file: string): number {
  return existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : Number.NaN;
}
