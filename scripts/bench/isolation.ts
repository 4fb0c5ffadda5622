import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';
import type { Lane } from '../../src/domain/lane.ts';
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
const timeoutFor = (quick: boolean): number => (quick ? 5_000 : 10_000); // after each phase, what hangs is waited for

export async function benchIsolation({ quick }: BenchOptions): Promise<Report> {
  return withCleanup(async (cleanup, signal) => {
    const timeoutMs = timeoutFor(quick);
    const { receivers, workflow, express, mixed, graphileWorker } = await prepare(timeoutMs, cleanup);
    const load = { healthy: HEALTHY, everyMs: 250, forMs: quick ? 5_000 : 30_000, patienceMs: quick ? 2_000 : 5_000 };
    const trial = (courier: Courier, share: number, ratios: Trial['ratios']): Trial => ({
      courier,
      ratios,
      load: { ...load, forMs: load.forMs * share },
      alone: [],
      withHanging: [],
    });
    const trials = [
      trial(workflow, 1, { whole: 'healthyP99', untilTripped: 'healthyP99UntilTripped' }),
      trial(express, 1, { whole: 'expressHealthyP99', untilTripped: 'expressHealthyP99UntilTripped' }),
      // A quick run has no time for it; in the other it is over before the breaker trips.
      ...(quick ? [] : [trial(mixed, 0.5, { whole: 'mixedHealthyP99' })]),
      // The peer shows within seconds what it does, once the hanging one has all its places; and each of its phases leaves the
      // more behind the longer it is.
      trial(graphileWorker, quick ? 0.7 : 1 / 3, { whole: 'graphileWorkerHealthyP99' }),
    ];
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
    return isolationReport(trials, { concurrency: EGRESS_CONCURRENCY, timeoutMs });
  });
}

/** The last endpoint, which hangs, shares the express lane with every second of the others. */
const mixedLane = (endpoint: number): Lane => ((HEALTHY - endpoint) % 2 === 0 ? 'express' : 'workflow');

async function prepare(timeoutMs: number, cleanup: Cleanup) {
  say('starting Postgres, Temporal, receivers and a worker');
  const answering = Array.from({ length: HEALTHY }, () => 'answers' as const);
  const { home, databaseUrl, receivers } = await setStage(cleanup, [...answering, 'hangs']);
  const { address } = await startTemporal({ home, say }, cleanup);
  const settings = { EGRESS_CONCURRENCY: String(EGRESS_CONCURRENCY), DELIVERY_TIMEOUT_MS: String(timeoutMs) };
  const { config, forgeflow } = await openProduct({ home, databaseUrl, temporalAddress: address, settings }, cleanup);
  const logger = createLogger('error');
  await cleanup.start(() => startWorkerProcess({ config, queues: TASK_QUEUES, logger, graceMs: 500 }));
  const sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs });
  cleanup.add(() => sender.close());
  return {
    receivers,
    workflow: forgeflowCourier({ forgeflow, name: 'workflow lane', laneOf: () => 'workflow' }),
    express: forgeflowCourier({ forgeflow, name: 'express lane', laneOf: () => 'express' }),
    mixed: forgeflowCourier({ forgeflow, name: 'lanes mixed', laneOf: mixedLane }),
    graphileWorker: graphileWorkerCourier({ databaseUrl, sender, concurrency: EGRESS_CONCURRENCY }),
  };
}
