import { randomBytes } from 'node:crypto';
import { createCheckRunner } from '../../activities/check-runner.ts';
import { createGitlabAccess } from '../../activities/gitlab-access.ts';
import { createActivities } from '../../activities/index.ts';
import { createJobClones } from '../../activities/job-clones.ts';
import { Publisher } from '../../src/bus/publisher.ts';
import type { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { Subscriptions } from '../../src/client/subscriptions.ts';
import { loadConfig } from '../../src/config.ts';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import type { Lane } from '../../src/domain/lane.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { EgressGate } from '../../src/egress/gate.ts';
import { OpenBatches } from '../../src/egress/open-batches.ts';
import { createSender, type Sender } from '../../src/egress/send.ts';
import { createGitlabClient } from '../../src/gitlab/client.ts';
import { createLogger, type Logger } from '../../src/logging.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import type { Cleanup } from './cleanup.ts';
import { say } from './console.ts';
import { type Engine, startEngine } from './engine.ts';
import type { Receivers } from './receiver.ts';
import { runRelay, type Starts, type Variant } from './relay.ts';
import { setStage, startTemporal } from './stage.ts';

/** No job is run here. */
const NO_JOBS = {
  cancel: () => Promise.resolve(false),
  cancelAllOf: () => Promise.resolve(0),
  forgetAllOf: () => Promise.resolve(0),
};

/** Requests in flight at once, of forgeflow, all to its one subscription, and of its peers. */
export const EGRESS_CONCURRENCY = 20;

/** All that takes part, each server and the receiver in a process of its own, forgeflow in this one. */
export interface DeliveryStage {
  databaseUrl: string;
  /** As a client has it. */
  db: ForgeflowDatabase;
  engine: Engine;
  receivers: Receivers;
  url: string;
  sender: Sender;
  starts: Starts;
  logger: Logger;
  pids: { postgres: number; temporal: number };
  /** What a client offers. */
  forgeflow: Pick<ForgeflowClient, 'subscriptions' | 'publish'>;
  /** A subscription to the receiver. */
  subscribe(topic: string, lane: Lane): Promise<void>;
}

export async function setDeliveryStage(variant: Variant, cleanup: Cleanup): Promise<DeliveryStage> {
  const logger = createLogger('warn');
  const config = loadConfig();
  say('starting Postgres, Temporal and a receiver');
  const { home, databaseUrl, receivers, postgresPid } = await setStage(cleanup, ['answers']);
  const { address, pid } = await startTemporal({ home, say }, cleanup);
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
  const openBatches = new OpenBatches({ requestsAtOnce: EGRESS_CONCURRENCY });
  const activities = createActivities({
    db: dbOfWorkers,
    sender,
    sealer,
    gate,
    openBatches,
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
  const publisher = new Publisher(db);
  const subscriptions = new Subscriptions({ config, db, temporal: engine.client, sealer, guard });
  const starts = runRelay(variant, { db: dbOfWorkers, databaseUrl, engine, logger, openBatches }, cleanup);
  return {
    databaseUrl,
    db,
    engine,
    receivers,
    url,
    sender,
    starts,
    logger,
    forgeflow: { subscriptions, publish: (publication) => publisher.publish(publication) },
    pids: { postgres: postgresPid, temporal: pid },
    async subscribe(topic, lane) {
      await subscriptions.add({ name: topic, url, patterns: [topic], lane });
    },
  };
}
