import { setTimeout as sleep } from 'node:timers/promises';
import { isConnectionFault } from '../../src/database/connection.ts';

const RETRY_MS = 200;

/** Does it again until Postgres is there for it; gives up when the run ends. */
export async function despiteOutages(work: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
      return;
    } catch (error) {
      if (!isConnectionFault(error)) throw error;
      await sleep(RETRY_MS);
    }
  }
}
