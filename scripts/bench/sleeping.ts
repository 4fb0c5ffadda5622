import { createLogger } from '../../src/logging.ts';
import { WORKFLOWS_ENTRY } from '../../src/temporal/workflow-source.ts';
import { bundleWorkflows } from './bundle.ts';
import { withCleanup } from './cleanup.ts';
import { say } from './console.ts';
import { checkUsageIsTold } from './process-usage.ts';
import type { BenchOptions, Report, Row } from './report.ts';
import { type Cost, watchSleep, type World } from './sleeping-world.ts';
import { setStage } from './stage.ts';

const FIGURES: { of: keyof Cost; what: string; unit: string }[] = [
  { of: 'workflowsAsleep', what: 'workflows', unit: 'workflows' },
  { of: 'workerRssMiB', what: 'worker that made the attempts, memory', unit: 'MiB' },
  { of: 'workerCpu', what: 'worker that made the attempts, CPU', unit: 'ms/s' },
  { of: 'newWorkerRssMiB', what: 'worker started afterwards, memory', unit: 'MiB' },
  { of: 'newWorkerCpu', what: 'worker started afterwards, CPU', unit: 'ms/s' },
  { of: 'temporalRssMiB', what: 'Temporal server, memory', unit: 'MiB' },
  { of: 'temporalCpu', what: 'Temporal server, CPU', unit: 'ms/s' },
  { of: 'temporalFileMiB', what: 'Temporal server, database file', unit: 'MiB' },
  { of: 'postgresCpu', what: 'Postgres, CPU', unit: 'ms/s' },
];

export async function benchSleeping({ quick }: BenchOptions): Promise<Report> {
  checkUsageIsTold();
  const asleep = quick ? 300 : 5_000;
  const times = quick ? { settleMs: 500, watchMs: 3_000 } : { settleMs: 5_000, watchMs: 25_000 };
  const worlds: (World & { name: string })[] = [
    { name: 'nothing asleep', asleep: 0, breaker: false, ...times },
    { name: `${asleep} behind an open breaker`, asleep, breaker: true, ...times },
    { name: `${asleep} in workflows`, asleep, breaker: false, ...times },
  ];
  return withCleanup(async (cleanup, signal) => {
    const stage = await setStage(cleanup, ['answers', 'is away']);
    const { codePath } = await bundleWorkflows(WORKFLOWS_ENTRY, { folder: stage.home, logger: createLogger('warn') });
    const costs: Cost[] = [];
    for (const world of worlds) {
      say(`${world.name}: starting Temporal and a worker`);
      costs.push(await watchSleep(world, { stage, workflowBundle: codePath, say, signal }, cleanup));
    }
    const to = (figure: keyof Cost, world: number): number =>
      (costs[world]?.[figure] ?? Number.NaN) / (costs[0]?.[figure] ?? Number.NaN);
    return {
      bench: 'sleeping',
      rows: worlds.flatMap(({ name }, world) => rowsOf(name, costs[world])),
      ratios: {
        workerRssToNone: to('newWorkerRssMiB', 2),
        temporalRssToNone: to('temporalRssMiB', 2),
        temporalRssBehindBreakerToNone: to('temporalRssMiB', 1),
      },
      notes: [
        'each world: a new database, a new Temporal dev server on a file (SQLite, WAL), a new worker process, 50 deliveries that succeed first; workflows bundled ahead, as in production',
        `asleep: the receiver answers 503 and asks for an hour (Retry-After), 10 subscriptions with ${asleep / 10} deliveries each; the breaker trips after 5 failures as usual, or never`,
        `memory (VmRSS) at the end, CPU time over ${times.watchMs / 1_000} s, from /proc; ms/s is thousandths of a core; for the servers, the mean of both watches`,
      ],
    };
  });
}

function rowsOf(world: string, cost: Cost | undefined): Row[] {
  return FIGURES.map(({ of, what, unit }) => ({ what: `${world}: ${what}`, value: cost?.[of] ?? Number.NaN, unit }));
}
