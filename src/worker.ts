import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CheckRunner, createCheckRunner } from '../activities/check-runner.ts';
import { createGitlabAccess } from '../activities/gitlab-access.ts';
import { hooksInHand } from '../activities/gitlab-hooks.ts';
import { createActivities } from '../activities/index.ts';
import { createJobClones, type JobClones } from '../activities/job-clones.ts';
import { type RelayOptions, startRelay } from './bus/relay.ts';
import { openCache } from './cache/open-cache.ts';
import { checkDatabase, onceAvailable } from './awaited-services.ts';
import { type Config, required } from './config.ts';
import { type ForgeflowDatabase, openDatabase } from './database/connection.ts';
import { createAddressGuard } from './egress/address-guard.ts';
import { EgressGate } from './egress/gate.ts';
import { OpenBatches } from './egress/open-batches.ts';
import { createSender } from './egress/send.ts';
import { freePort } from './free-port.ts';
import { createGitlabClient } from './gitlab/client.ts';
import type { Logger } from './logging.ts';
import { attemptResult } from './metrics/attempt-result.ts';
import { createMetrics, type Metrics } from './metrics/metrics.ts';
import { startMetricsServer } from './metrics/server.ts';
import { createSealer, type Sealer } from './secrets/sealer.ts';
import { connectWorkers, type WorkerConnection } from './temporal/worker-connection.ts';
import { createJobControl } from './temporal/job-control.ts';
import { sweepAtStart } from './temporal/schedules.ts';
import { CHECKS_QUEUE, FORGEFLOW_QUEUE, GIT_QUEUE, type TaskQueue } from './temporal/task-queues.ts';
import {
  createWorkers,
  installRuntime,
  releaseRuntime,
  type RunningWorkers,
  runWorkers,
  type WorkersOptions,
} from './temporal/worker.ts';

export interface WorkerProcessOptions {
  config: Config;
  queues: readonly TaskQueue[];
  logger: Logger;
  /** How long a shutdown waits for attempts in flight, in ms; as long as an attempt can take when left out. */
  graceMs?: number | undefined;
  /** Whether something else in this process serves its metrics, besides `METRICS_PORT`. */
  servesMetrics?: boolean;
}

export interface WorkerProcess extends RunningWorkers {
  metrics: Metrics;
}

/**
 * Puts a worker process together: configuration in, workers at work out. Waits for a Postgres or Temporal that is away.
 * @throws ConfigError for what is missing
 */
export async function startWorkerProcess({
  config,
  queues,
  logger,
  graceMs,
  servesMetrics = false,
}: WorkerProcessOptions): Promise<WorkerProcess> {
  const databaseUrl = required('DATABASE_URL', config.databaseUrl);
  const secretsKey = required('SECRETS_KEY', config.secretsKey, 'it is not set (make one: openssl rand -base64 32)');
  // The SDK has an exporter of its own; what it says is served together with ours.
  const sdkMetricsPort = config.metricsPort === undefined && !servesMetrics ? undefined : await freePort();
  installRuntime(logger, sdkMetricsPort);
  const db = openDatabase(databaseUrl, {
    // Each attempt reads, then writes; each hook in hand keeps one; a few more for the relay and the quick activities.
    maxConnections: Math.min(config.egressConcurrency, 20) + hooksInHand(config.gitlabConcurrency) + 10,
    onIdleError: (error) => {
      logger.debug('a database connection broke', { problem: error.message });
    },
  });
  const sealer = createSealer(secretsKey);
  const { connection, namespace, client } = await onceAvailable(logger, () => checkDatabase(db, sealer))
    .then(() => onceAvailable(logger, () => connectWorkers(config)))
    .catch(async (error: unknown) => {
      // Or they would keep the process alive.
      await db.destroy();
      await releaseRuntime();
      throw error;
    });
  const metrics = createMetrics({
    db,
    ...(sdkMetricsPort === undefined ? {} : { sdkMetricsUrl: `http://127.0.0.1:${sdkMetricsPort}/metrics` }),
  });
  const running = await assembleWorkers({
    config,
    queues,
    logger,
    db,
    databaseUrl,
    sealer,
    temporal: { connection, namespace, client },
    metrics,
    graceMs,
  });
  const server =
    config.metricsPort === undefined ? undefined : await startMetricsServer({ port: config.metricsPort, metrics });
  const done = running.done.finally(async () => {
    await server?.stop();
    await connection.close();
    await db.destroy();
  });
  done.catch(() => undefined);
  return {
    done,
    metrics,
    async stop() {
      await running.stop();
      await done.catch(() => undefined);
    },
  };
}

export interface WorkerParts extends Omit<WorkerProcessOptions, 'servesMetrics'> {
  db: ForgeflowDatabase;
  databaseUrl: string;
  sealer: Sealer;
  temporal: WorkerConnection;
  metrics: Metrics;
  /** Where the workflows' code comes from, and how often the relay looks, where that is not as usual. */
  workflows?: WorkersOptions['workflows'] | undefined;
  intervals?: RelayOptions['intervals'];
}

/** How long the workers wait for the relay before they end too: while Temporal is away it takes ten seconds and more. */
const RELAY_ENDS_WITHIN_MS = 1_000;
/** After the last answer of a receiver, to write down what came of it. */
const WRITING_DOWN_MS = 5_000;

/** Workers and relay on connections that are there, and are left open at the end. */
export async function assembleWorkers(parts: WorkerParts): Promise<RunningWorkers> {
  const { config, queues, logger, db, databaseUrl, sealer, temporal, metrics, graceMs, workflows, intervals } = parts;
  const sender = createSender({
    guard: createAddressGuard(config.deliveryAllowedNetworks),
    timeoutMs: config.deliveryTimeoutMs,
    proxy: config.deliveryProxy,
  });
  const gate = new EgressGate({
    total: config.egressConcurrency,
    perSubscription: config.egressConcurrencyPerSubscription,
  });
  const openBatches = new OpenBatches({ requestsAtOnce: config.egressConcurrency });
  const gitlab = createGitlabAccess(config, (settings) =>
    createGitlabClient({
      ...settings,
      observe: (limit) => {
        metrics.gitlabRateLimit(limit);
      },
    }),
  );
  const clones = createJobClones(config, db);
  const checkRunner = createCheckRunner(config, (message) => {
    logger.warn(message);
  });
  const workers = await createWorkers({
    connection: temporal.connection,
    namespace: temporal.namespace,
    activities: createActivities({
      db,
      sender,
      sealer,
      gate,
      openBatches,
      breakerFailures: config.breakerFailures,
      retentionDays: config.deliveryRetentionDays,
      gitlab,
      gitlabGroup: config.gitlabGroup,
      clones,
      cache: openCache(config.cache, config.storageDirectory),
      cacheQuotaBytes: config.cacheQuotaBytes,
      checkRunner,
      control: createJobControl(temporal.client),
      observe: (outcome) => {
        metrics.attempted({ outcome: attemptResult(outcome), durationMs: outcome.durationMs });
      },
    }),
    queues,
    egressConcurrency: config.egressConcurrency,
    gitConcurrency: config.gitConcurrency,
    checksConcurrency: config.checksConcurrency,
    // The time that the relay takes counts into it: whoever sent the signal counts from that.
    graceMs: graceMs ?? config.deliveryTimeoutMs + WRITING_DOWN_MS - RELAY_ENDS_WITHIN_MS,
    workflows,
  });
  const running = runWorkers(workers);
  // It starts workflows, which workers of this process may take over at once; so it is not run where these are not served.
  const relay = queues.includes(FORGEFLOW_QUEUE)
    ? startRelay({
        db,
        databaseUrl,
        temporal: temporal.client,
        logger,
        expressBacklog: config.expressBacklog,
        openBatches,
        workerName: `${process.pid}@${hostname()}`,
        onStop: () => void stop(),
        intervals,
      })
    : undefined;
  const sweepStarted = relay === undefined ? undefined : sweepAtStart(temporal.client, logger);
  if (queues.includes(GIT_QUEUE)) sweepClones(clones, logger);
  if (queues.includes(CHECKS_QUEUE)) prepareChecks(checkRunner, config, logger);
  const done = running.done.finally(async () => {
    await relay?.stop();
    await sweepStarted;
    gate.close();
    await sender.close();
    await gitlab.close();
  });
  done.catch(() => undefined);

  async function stop(): Promise<void> {
    const relayEnded = relay?.stop(); // first: it would go on to hand out work, and some of that to this process
    openBatches.close();
    gate.close(); // attempts that wait for a place are put back, instead of holding up the end
    await Promise.race([relayEnded, sleep(RELAY_ENDS_WITHIN_MS, undefined, { ref: false })]);
    await running.stop();
    await relayEnded;
    await done.catch(() => undefined);
  }
  return { done, stop };
}

/** In the background: clones that nobody needs take only space. */
function sweepClones(clones: JobClones, logger: Logger): void {
  clones.sweep().then(
    (count) => {
      if (count > 0) logger.info('clones of repositories that are no longer tracked were removed', { count });
    },
    (error: unknown) => {
      logger.warn('old clones could not be looked for', {
        problem: error instanceof Error ? error.message : 'unknown',
      });
    },
  );
}

/**
 * In the background: what killed workers have left of checks goes, and a file of plugins that is wrong is better known before
 * a check fails for it.
 */
function prepareChecks(checkRunner: CheckRunner, { checkPluginsFile }: Config, logger: Logger): void {
  const warn = (message: string) => (error: unknown) => {
    logger.warn(message, { problem: error instanceof Error ? error.message : 'unknown' });
  };
  checkRunner.sweep().catch(warn('what old checks have left could not be looked for'));
  if (checkPluginsFile !== undefined) checkRunner.plugins().catch(warn('no check can be run'));
}
