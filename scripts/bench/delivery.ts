import { randomBytes } from 'node:crypto';
import { createActivities } from '../../activities/index.ts';
import type { ClientContext } from '../../src/client/context.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';
import { createLogger } from '../../src/logging.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { type Cleanup, withCleanup } from './cleanup.ts';
import { contest, type Rounds } from './contest.ts';
import { bareEngine, startEngine } from './engine.ts';
import { graphileWorker, PEER_SCALE } from './graphile-worker-peer.ts';
import { httpJobs, PAYLOAD } from './http-job.ts';
import { pgBoss } from './pg-boss-peer.ts';
import { type BenchOptions, median, type Report } from './report.ts';
import { setStage } from './stage.ts';
import { subscribe, type Variant, workflowLane } from './workflow-lane.ts';

/** Events published, workflows started and jobs handed in at once. */
const AT_ONCE = 20;
/** Requests in flight at once, of forgeflow and of its peers. */
const EGRESS_CONCURRENCY = 20;

const PRODUCT: Variant = { name: 'forgeflow workflow lane' };
const VARIANTS: Variant[] = [
  { name: 'variant: eager start', eager: true },
  { name: 'variant: eager start, by the worker in batches', eager: true, outbox: true },
  { name: 'variant: local activity', workflowType: 'deliverByLocalActivity' },
  { name: 'variant: local activity and eager start', workflowType: 'deliverByLocalActivity', eager: true },
];

const say = (message: string): void => {
  process.stderr.write(`${message}\n`);
};

export async function benchDelivery({ quick }: BenchOptions): Promise<Report> {
  const size = quick
    ? { warmUp: 10, rounds: 3, amount: 50, budgetMs: 45_000 } // of the minute, some seconds go into starting and stopping
    : { warmUp: 40, rounds: 9, amount: 120, budgetMs: Infinity };
  return withCleanup(async (cleanup, signal) => {
    const { engineLimit, product, variants, peers } = await prepare(cleanup);
    const lanes = [product, ...variants];
    const rates = await contest([engineLimit, ...lanes, ...peers], size, { say, signal });
    const of = (name: string): number[] => rates.get(name) ?? [];
    const historyEvents = await Promise.all(lanes.map((lane) => lane.historyEvents()));
    const toEngine = of(product.name).map((rate, round) => rate / (of(engineLimit.name)[round] ?? Number.NaN));
    return {
      bench: 'delivery',
      rows: [
        ...[...rates].map(([what, rounds]) => ({ what, value: median(rounds), unit: '1/s', rounds })),
        { what: 'workflow lane / engine, round by round', value: median(toEngine), unit: 'ratio', rounds: toEngine },
        ...lanes.map(({ name }, i) => ({ what: `history, ${name}`, value: historyEvents[i] ?? 0, unit: 'events' })),
      ],
      ratios: { workflowLaneToEngine: median(toEngine), historyEventsImmediate: historyEvents[0] ?? 0 },
      notes: notes({ ...size, rounds: toEngine.length }),
    };
  });
}

function notes({ rounds, amount }: Pick<Rounds, 'rounds' | 'amount'>): string[] {
  return [
    `values are medians of ${rounds} rounds in which all took turns; workflowLaneToEngine is the median of the rounds' own ratios`,
    `a round: ${amount} workflows or deliveries, ${amount * PEER_SCALE} jobs of a peer, ${AT_ONCE} handed in at once, ${EGRESS_CONCURRENCY} requests in flight`,
    'timed from the first handed in until all requests have come, all is written down, and all workflows or jobs have ended',
    'one process has clients and workers of all; the servers and the receiver have their own; all share the cores of this machine',
    `requests: ${Buffer.byteLength(PAYLOAD)} B body, signed, a connection each, answered 204 at once; peers keep no log of attempts`,
    'Postgres with its default settings (it syncs to disk), Temporal dev server on a file (SQLite, WAL)',
  ];
}

async function prepare(cleanup: Cleanup) {
  const logger = createLogger('warn');
  const { home, databaseUrl, temporalAddress, receiver } = await setStage(cleanup, say);
  const db = openDatabase(databaseUrl);
  cleanup.add(() => db.destroy());
  await migrateUp(db);
  const guard = createAddressGuard(['127.0.0.0/8']);
  const sealer = createSealer(randomBytes(32).toString('base64'));
  const sender = createSender({ guard, timeoutMs: 10_000 });
  cleanup.add(() => sender.close());

  const dbOfWorkers = openDatabase(databaseUrl, { maxConnections: EGRESS_CONCURRENCY + 5 });
  cleanup.add(() => dbOfWorkers.destroy());
  const activities = createActivities({ db: dbOfWorkers, sender, sealer });
  const engine = await startEngine(
    { address: temporalAddress, workFolder: home, activities, egressConcurrency: EGRESS_CONCURRENCY, logger },
    cleanup,
  );

  const context: ClientContext = { db, temporal: engine.client, sealer, guard };
  await subscribe(context, receiver.url);
  const lane = (variant: Variant) => workflowLane(variant, { context, engine, receiver, publishesAtOnce: AT_ONCE });
  const peer = {
    databaseUrl,
    work: httpJobs(sender, receiver.url),
    enqueuesAtOnce: AT_ONCE,
    concurrency: EGRESS_CONCURRENCY,
    logger,
  };
  return {
    engineLimit: bareEngine(engine, AT_ONCE),
    product: lane(PRODUCT),
    variants: VARIANTS.map(lane),
    peers: [await graphileWorker(peer, cleanup), await pgBoss(peer, cleanup)],
  };
}
