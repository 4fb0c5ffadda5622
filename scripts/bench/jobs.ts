import { setTimeout as sleep } from 'node:timers/promises';
import pLimit from 'p-limit';
import { createLogger } from '../../src/logging.ts';
import { WORKFLOWS_ENTRY } from '../../src/temporal/workflow-source.ts';
import { bundleWorkflows } from './bundle.ts';
import { type Cleanup, withCleanup } from './cleanup.ts';
import { say } from './console.ts';
import { type Contender, contest } from './contest.ts';
import { triggerAtOnce } from './jobs-burst.ts';
import { forgeflowJobs, graphileWorkerJobs, type JobQueue } from './jobs-queues.ts';
import { jobsReport, type QueueTrial } from './jobs-report.ts';
import { killInMidJob } from './jobs-resume.ts';
import { WORK } from './jobs-work.ts';
import { openProduct } from './product.ts';
import type { BenchOptions, Report } from './report.ts';
import { prepareGround, startTemporal } from './stage.ts';

const AT_ONCE = 20;
const CONCURRENCY = 10;
/** Between jobs that come now and then. */
const PAUSE_MS = 300;
/** graphile-worker is many times faster. */
const PEER_SCALE = 10;

export async function benchJobs({ quick }: BenchOptions): Promise<Report> {
  const size = quick
    ? { warmUp: 20, rounds: 2, amount: 60, budgetMs: 12_000, latencies: 25, triggers: 200, heldMs: [0, 3_000] }
    : {
        ...{ warmUp: 60, rounds: 7, amount: 200, budgetMs: Infinity, latencies: 150, triggers: 500 },
        heldMs: [0, 4_000, 8_000, 12_000, 16_000, 20_000],
      };
  return withCleanup(async (cleanup, signal) => {
    const { ours, peer } = await prepare(cleanup);
    const [worker, peersWorker] = [await ours.startWorker(), await peer.startWorker()];
    const contenders = [contender(ours, 1), contender(peer, PEER_SCALE)];
    const rates = await contest(contenders, size, { say, signal });
    const trials: QueueTrial[] = [];
    for (const queue of [ours, peer]) {
      say(`${queue.name}: ${size.latencies} jobs one at a time, then ${size.triggers} triggers of one`);
      trials.push({
        name: queue.name,
        rates: rates.get(queue.name) ?? [],
        latencies: await latenciesOf(queue, size.latencies, { pauseMs: PAUSE_MS, signal }),
        backToBack: await latenciesOf(queue, size.latencies, { pauseMs: 0, signal }),
        burst: await triggerAtOnce(queue, size.triggers, AT_ONCE),
      });
    }
    say('killing the workers in the middle of jobs');
    const resumed = await killInMidJob(
      { queue: ours, worker },
      { queue: peer, worker: peersWorker },
      { ...size, signal },
    );
    const conditions = { ...size, peerScale: PEER_SCALE, atOnce: AT_ONCE, concurrency: CONCURRENCY, pauseMs: PAUSE_MS };
    return jobsReport({ ours: trials[0]!, peer: trials[1]!, resumed, conditions });
  });
}

let jobs: number = WORK.trivial;
const nextJob = (): number => (jobs += 1);

function contender(queue: JobQueue, scale: number): Contender {
  return {
    name: queue.name,
    scale,
    async run(amount) {
      const limit = pLimit(AT_ONCE);
      const allEnded = await queue.expect(amount);
      await Promise.all(Array.from({ length: amount }, () => limit(() => queue.enqueue(nextJob()))));
      await allEnded();
    },
  };
}

async function latenciesOf(
  queue: JobQueue,
  count: number,
  { pauseMs, signal }: { pauseMs: number; signal: AbortSignal },
): Promise<number[]> {
  const latencies: number[] = [];
  for (let i = 0; i < count; i += 1) {
    await sleep(pauseMs, undefined, { signal });
    const begun = performance.now();
    await queue.roundTrip(nextJob());
    latencies.push(performance.now() - begun);
  }
  return latencies;
}

async function prepare(cleanup: Cleanup) {
  say('starting Postgres, Temporal and a worker of each queue');
  const { home, databaseUrl } = await prepareGround(cleanup);
  const { address: temporalAddress } = await startTemporal({ home, say }, cleanup);
  const { forgeflow } = await openProduct({ home, databaseUrl, temporalAddress }, cleanup);
  const { codePath } = await bundleWorkflows(WORKFLOWS_ENTRY, { folder: home, logger: createLogger('warn') });
  const settings = {
    databaseUrl,
    temporalAddress,
    workflowBundle: codePath,
    concurrency: CONCURRENCY,
    pauseMs: PAUSE_MS,
  };
  return {
    ours: forgeflowJobs(forgeflow, { settings, cleanup }),
    peer: await graphileWorkerJobs({ settings, cleanup }),
  };
}
