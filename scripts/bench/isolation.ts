import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';
import { createLogger } from '../../src/logging.ts';
import { TASK_QUEUES } from '../../src/temporal/task-queues.ts';
import { startWorkerProcess } from '../../src/worker.ts';
import { type Cleanup, withCleanup } from './cleanup.ts';
import { say } from './console.ts';
import type { Courier } from './courier.ts';
import { forgeflowCourier } from './forgeflow-courier.ts';
import { graphileWorkerCourier } from './graphile-worker-courier.ts';
import { loadPhase } from './load-phase.ts';
import { openProduct } from './product.ts';
import { isolationReport, type Trial } from './isolation-report.ts';
import type { BenchOptions, Report } from './report.ts';
import { setStage, startTemporal } from './stage.ts';

const HEALTHY = 4;
/** Requests in flight at once, of forgeflow and of its peer. */
const EGRESS_CONCURRENCY = 10;
const TIMEOUT_MS = 10_000;

export async function benchIsolation({ quick }: BenchOptions): Promise<Report> {
  return withCleanup(async (cleanup, signal) => {
    const { receivers, forgeflow, graphileWorker } = await prepare(cleanup);
    const load = { healthy: HEALTHY, everyMs: 250, forMs: quick ? 9_000 : 30_000, patienceMs: quick ? 2_000 : 5_000 };
    const trial = (courier: Courier, forMs: number): Trial => ({
      courier,
      load: { ...load, forMs },
      alone: [],
      withHanging: [],
    });
    // The peer shows within seconds what it does; and each of its phases leaves the more behind the longer it is.
    const trials = [trial(forgeflow, load.forMs), trial(graphileWorker, load.forMs / 3)];
    const rounds = quick ? 1 : 5;
    say('warming up');
    const stage = { receivers, signal };
    for (const { courier } of trials)
      await loadPhase(courier, stage, { ...load, endpoints: HEALTHY, forMs: quick ? 1_500 : 5_000 });
    for (let round = 1; round <= rounds; round += 1) {
      for (const { courier, load, alone, withHanging } of trials) {
        say(`round ${round} of ${rounds}: ${courier.name}, ${(2 * load.forMs) / 1_000} s`);
        const halves = [
          async () => alone.push(await loadPhase(courier, stage, { ...load, endpoints: HEALTHY })),
          async () => withHanging.push(await loadPhase(courier, stage, { ...load, endpoints: HEALTHY + 1 })),
        ];
        // A B, B A, A B, …: what changes slowly on the machine favours neither.
        for (const half of round % 2 === 1 ? halves : halves.toReversed()) await half();
      }
    }
    return isolationReport(trials, { concurrency: EGRESS_CONCURRENCY, timeoutMs: TIMEOUT_MS });
  });
}

async function prepare(cleanup: Cleanup) {
  say('starting Postgres, Temporal, receivers and a worker');
  const answering = Array.from({ length: HEALTHY }, () => 'answers' as const);
  const { home, databaseUrl, receivers } = await setStage(cleanup, [...answering, 'hangs']);
  const { address } = await startTemporal({ home, say }, cleanup);
  const settings = { EGRESS_CONCURRENCY: String(EGRESS_CONCURRENCY), DELIVERY_TIMEOUT_MS: String(TIMEOUT_MS) };
  const { config, forgeflow } = await openProduct({ home, databaseUrl, temporalAddress: address, settings }, cleanup);
  const logger = createLogger('error');
  await cleanup.start(() => startWorkerProcess({ config, queues: TASK_QUEUES, logger, graceMs: 500 }));
  const sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs: TIMEOUT_MS });
  cleanup.add(() => sender.close());
  return {
    receivers,
    forgeflow: forgeflowCourier(forgeflow),
    graphileWorker: graphileWorkerCourier({ databaseUrl, sender, concurrency: EGRESS_CONCURRENCY }),
  };
}
