import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import PgBoss from 'pg-boss';
import { timesAtOnce } from './at-once.ts';
import type { Cleanup } from './cleanup.ts';
import type { Contender } from './contest.ts';
import { PEER_SCALE, type PeerOptions } from './graphile-worker-peer.ts';
import { type HttpJob, newHttpJob } from './http-job.ts';

const QUEUE = 'send';
/** It polls, twice a second at most, while it finds nothing: only large batches keep it busy. */
const BATCH = 200;

export async function pgBoss(
  { databaseUrl, work, enqueuesAtOnce, concurrency, logger }: PeerOptions,
  cleanup: Cleanup,
): Promise<Contender> {
  const boss = new PgBoss({ connectionString: databaseUrl, max: concurrency + 5, schedule: false, supervise: false });
  boss.on('error', (error) => {
    logger.warn(`pg-boss: ${error.message}`);
  });
  await boss.start();
  cleanup.add(() => boss.stop({ graceful: false, wait: true }));
  await boss.createQueue(QUEUE);
  const inFlight = pLimit(concurrency);
  const options = { batchSize: BATCH, pollingIntervalSeconds: 0.5 };
  await boss.work<HttpJob>(QUEUE, options, (jobs) => Promise.all(jobs.map(({ data }) => inFlight(() => work(data)))));
  return {
    name: 'pg-boss',
    scale: PEER_SCALE,
    async run(amount) {
      await timesAtOnce(amount, enqueuesAtOnce, () => boss.send(QUEUE, newHttpJob()));
      while ((await boss.getQueueSize(QUEUE, { before: 'completed' })) > 0) await sleep(20);
    },
  };
}
