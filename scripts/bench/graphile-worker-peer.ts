import { setTimeout as sleep } from 'node:timers/promises';
import { Logger as GraphileLogger, run } from 'graphile-worker';
import pLimit from 'p-limit';
import type { Logger } from '../../src/logging.ts';
import type { Cleanup } from './cleanup.ts';
import type { Contender } from './contest.ts';
import { type HttpJob, newHttpJob } from './http-job.ts';

export interface PeerOptions {
  databaseUrl: string;
  work: (job: HttpJob) => Promise<void>;
  /** Jobs handed in at once, as events are published. */
  enqueuesAtOnce: number;
  /** Requests in flight at once, as forgeflow's egress. */
  concurrency: number;
  logger: Logger;
}

/** graphile-worker as its documentation sets it up, with as many connections as it can use. */
export async function graphileWorker(
  { databaseUrl, work, enqueuesAtOnce, concurrency, logger }: PeerOptions,
  cleanup: Cleanup,
): Promise<Contender> {
  const runner = await run({
    connectionString: databaseUrl,
    concurrency,
    maxPoolSize: concurrency + 5,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: { send: (payload) => work(payload as HttpJob) },
    logger: new GraphileLogger(() => (level, message) => {
      if (['error', 'warning'].includes(level)) logger.warn(`graphile-worker: ${message}`);
    }),
  });
  cleanup.add(() => runner.stop());
  let completed = 0;
  let failed: unknown;
  // It comes when the end of the job is in the database.
  runner.events.on('job:complete', ({ error }) => {
    completed += 1;
    failed ??= error;
  });
  return {
    name: 'graphile-worker',
    scale: PEER_SCALE,
    async run(amount) {
      const limit = pLimit(enqueuesAtOnce);
      completed = 0;
      await Promise.all(Array.from({ length: amount }, () => limit(() => runner.addJob('send', newHttpJob()))));
      while (completed < amount) await sleep(5);
      if (failed !== null && failed !== undefined)
        throw new Error('a job of graphile-worker failed', { cause: failed });
    },
  };
}

/** Peers are many times faster than workflows. */
export const PEER_SCALE = 10;
