import { randomBytes } from 'node:crypto';
import { createCheckRunner } from '../../activities/check-runner.ts';
import { createGitlabAccess } from '../../activities/gitlab-access.ts';
import { createActivities } from '../../activities/index.ts';
import { createJobClones } from '../../activities/job-clones.ts';
import { Subscriptions } from '../../src/client/subscriptions.ts';
import { loadConfig } from '../../src/config.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { EgressGate } from '../../src/egress/gate.ts';
import { createSender } from '../../src/egress/send.ts';
import { createGitlabClient } from '../../src/gitlab/client.ts';
import { createLogger } from '../../src/logging.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { type Cleanup, withCleanup } from './cleanup.ts';
import { say } from './console.ts';
import { contest, type Rounds } from './contest.ts';
import { bareEngine, startEngine } from './engine.ts';
import { graphileWorker, PEER_SCALE } from './graphile-worker-peer.ts';
import { httpJobs, PAYLOAD, TOPIC } from './http-job.ts';
import { pgBoss } from './pg-boss-peer.ts';
import { runRelay, type Variant } from './relay.ts';
import type { BenchOptions, Report } from './report.ts';
import { setStage, startTemporal } from './stage.ts';
import { median, ratios } from './statistics.ts';
import { workflowLane } from './workflow-lane.ts';

/** Events published, workflows started and jobs handed in at once. */
const AT_ONCE = 20;
/** Requests in flight at once, of forgeflow, all to its one subscription, and of its peers. */
/** No job is run here. */
const NO_JOBS = {
  cancel: () => Promise.resolve(false),
  cancelAllOf: () => Promise.resolve(0),
  forgetAllOf: () => Promise.resolve(0),
};

const EGRESS_CONCURRENCY = 20;

const PRODUCT: Variant = { name: 'forgeflow workflow lane' };
const VARIANTS: Variant[] = [
  { name: 'variant: no eager start', lazyStart: true },
  { name: 'variant: local activity, no eager start', workflowType: 'deliverByLocalActivity', lazyStart: true },
  { name: 'variant: local activity', workflowType: 'deliverByLocalActivity' },
];

export async function benchDelivery({ quick }: BenchOptions): Promise<Report> {
  const size = quick
    ? { warmUp: 20, rounds: 3, amount: 50, budgetMs: 40_000 } // of the minute, some seconds go into starting and stopping
    : { warmUp: 60, rounds: 9, amount: 120, budgetMs: Infinity };
  return withCleanup(async (cleanup, signal) => {
    const { engineLimit, eagerEngine, product, variants, peers } = await prepare(cleanup);
    const lanes = [product, ...variants];
    const rates = await contest([engineLimit, product, eagerEngine, ...variants, ...peers], size, { say, signal });
    const of = (name: string): number[] => rates.get(name) ?? [];
    const historyEvents = await Promise.all(lanes.map((lane) => lane.historyEvents()));
    const toEngine = ratios(of(product.name), of(engineLimit.name));
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
    'forgeflow: events are published to the outbox; the relay of the workers makes deliveries of them and starts workflows',
    'one process has clients and workers of all; the servers and the receiver have their own; all share the cores of this machine',
    `requests: ${Buffer.byteLength(PAYLOAD)} B body, signed, a connection each, answered 204 at once; peers keep no log of attempts`,
    'Postgres with its default settings (it syncs to disk), Temporal dev server on a file (SQLite, WAL)',
  ];
}

async function prepare(cleanup: Cleanup) {
  const logger = createLogger('warn');
  const config = loadConfig();
  say('starting Postgres, Temporal and a receiver');
  const { home, databaseUrl, receivers } = await setStage(cleanup, ['answers']);
  const { address } = await startTemporal({ home, say }, cleanup);
  const db = openDatabase(databaseUrl);
  cleanup.add(() => db.destroy());
  await migrateUp(db);
  const guard = createAddressGuard(['127.0.0.0/8']);
  const sealer = createSealer(randomBytes(32).toString('base64'));
  const sender = createSender({ guard, timeoutMs: 10_000 });
  cleanup.add(() => sender.close());

  const dbOfWorkers = openDatabase(databaseUrl, { maxConnections: EGRESS_CONCURRENCY + 10 });
  cleanup.add(() => dbOfWorkers.destroy());
  const gate = new EgressGate({ total: EGRESS_CONCURRENCY, perSubscription: EGRESS_CONCURRENCY });
  const activities = createActivities({
    db: dbOfWorkers,
    sender,
    sealer,
    gate,
    breakerFailures: 5,
    retentionDays: config.deliveryRetentionDays,
    gitlab: createGitlabAccess(config, createGitlabClient),
    clones: createJobClones(config, dbOfWorkers),
    cache: null,
    cacheQuotaBytes: 0,
    checkRunner: createCheckRunner(config),
    control: NO_JOBS,
    observe: () => undefined,
  });
  const engine = await startEngine(
    { address, workFolder: home, activities, egressConcurrency: EGRESS_CONCURRENCY, logger },
    cleanup,
  );
  const [url = ''] = receivers.urls;
  const subscriptions = new Subscriptions({ config, db, temporal: engine.client, sealer, guard });
  await subscriptions.add({ name: 'bench', url, patterns: [TOPIC] });
  const starts = runRelay(PRODUCT, { db: dbOfWorkers, databaseUrl, engine, logger }, cleanup);

  const lane = (variant: Variant) => workflowLane(variant, { db, engine, receivers, starts, publishesAtOnce: AT_ONCE });
  const peer = {
    databaseUrl,
    work: httpJobs(sender, url),
    enqueuesAtOnce: AT_ONCE,
    concurrency: EGRESS_CONCURRENCY,
    logger,
  };
  return {
    engineLimit: bareEngine(engine, { startsAtOnce: AT_ONCE }),
    eagerEngine: bareEngine(engine, { startsAtOnce: AT_ONCE, eager: true }),
    product: lane(PRODUCT),
    variants: VARIANTS.map(lane),
    peers: [await graphileWorker(peer, cleanup), await pgBoss(peer, cleanup)],
  };
}
