import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { inject } from 'vitest';
import type { RelayOptions } from '../../src/bus/relay.ts';
import { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { createLogger } from '../../src/logging.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { createSealer, type Sealer } from '../../src/secrets/sealer.ts';
import { connectWorkers } from '../../src/temporal/worker-connection.ts';
import { TASK_QUEUES } from '../../src/temporal/task-queues.ts';
import type { RunningWorkers } from '../../src/temporal/worker.ts';
import { assembleWorkers } from '../../src/worker.ts';
import { cloneDatabase, type TestDatabase, useDatabase } from './database.ts';
import { ensureRuntime } from './runtime.ts';
import { type SharedServices, temporaryDirectory } from './services.ts';
import { startTestTemporal, type TestTemporal } from './temporal.ts';

export interface EnvironmentOptions {
  /** Of one request. */
  timeoutMs?: number;
  /** No worker runs in this process, so nothing takes events off the bus. */
  withoutWorkers?: boolean;
  /** How often the relay looks at what nobody tells it of. */
  intervals?: RelayOptions['intervals'];
  /** More settings, as environment variables. */
  settings?: Record<string, string>;
  /** More of the Temporal server's dynamic configuration, `key=value`. */
  temporalConfig?: readonly string[];
  /** A migrated database to be used instead of a copy of the template. */
  databaseUrl?: string;
  /** What it stands on; that of vitest's global setup when left out. */
  services?: SharedServices;
}

/** All of forgeflow in this process, on a database and a Temporal server of its own. */
export interface Environment {
  database: TestDatabase;
  temporal: TestTemporal;
  /** The settings, as environment variables for a process of ours, and as read from them. */
  variables: Record<string, string>;
  config: Config;
  forgeflow: ForgeflowClient;
  sealer: Sealer;
  /** What the workers' activities open secrets with; replaced by a test that wants a fault of ours. */
  workers: { sealer: Sealer };
  stop(): Promise<void>;
}

export async function startEnvironment({
  timeoutMs = 2_000,
  withoutWorkers = false,
  intervals,
  settings = {},
  temporalConfig,
  databaseUrl,
  services = servicesOfVitest(),
}: EnvironmentOptions = {}): Promise<Environment> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.reverse()) await end();
  };
  try {
    const [database, temporal] = await Promise.all([
      databaseUrl === undefined ? cloneDatabase(services.databaseServerUrl) : useDatabase(databaseUrl),
      startTestTemporal(services.temporalCli, temporalConfig),
    ]);
    stops.push(
      () => temporal.stop(),
      () => database.drop(),
    );
    const storage = temporaryDirectory('forgeflow-test-storage-');
    stops.push(() => rm(storage, { recursive: true, force: true }));
    const variables = {
      ...testVariables(database.url, temporal.address, timeoutMs),
      STORAGE_DIR: storage,
      ...settings,
    };
    const config = loadConfig(variables, tmpdir());
    const sealer = createSealer(config.secretsKey ?? '');
    const workers = { sealer };
    if (!withoutWorkers) {
      const running = await runTestWorkers(config, {
        db: database.db,
        databaseUrl: database.url,
        sealer: delegate(workers),
        workflowBundle: services.workflowBundle,
        intervals,
      });
      stops.push(() => running.stop());
    }
    const forgeflow = await ForgeflowClient.connect(config);
    stops.push(() => forgeflow.close());
    return { database, temporal, variables, config, forgeflow, sealer, workers, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The settings of everything in a test: its own database and Temporal, and receivers on this machine allowed. */
function testVariables(databaseUrl: string, temporalAddress: string, timeoutMs: number): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    TEMPORAL_ADDRESS: temporalAddress,
    SECRETS_KEY: randomBytes(32).toString('base64'),
    DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8',
    DELIVERY_TIMEOUT_MS: String(timeoutMs),
    LOG_LEVEL: 'error',
  };
}

function servicesOfVitest(): SharedServices {
  return {
    databaseServerUrl: inject('databaseServerUrl'),
    temporalCli: inject('temporalCli'),
    workflowBundle: inject('workflowBundle'),
  };
}

interface TestWorkers {
  db: ForgeflowDatabase;
  databaseUrl: string;
  sealer: Sealer;
  workflowBundle: string;
  intervals: RelayOptions['intervals'];
}

async function runTestWorkers(
  config: Config,
  { db, databaseUrl, sealer, workflowBundle, intervals }: TestWorkers,
): Promise<RunningWorkers> {
  const logger = createLogger(config.logLevel);
  ensureRuntime();
  const temporal = await connectWorkers(config);
  const running = await assembleWorkers({
    config,
    queues: TASK_QUEUES,
    logger,
    db,
    databaseUrl,
    sealer,
    temporal,
    metrics: createMetrics(),
    graceMs: 1_000,
    workflows: { workflowBundle: { codePath: workflowBundle } },
    intervals,
  });
  return {
    done: running.done,
    async stop() {
      await running.stop();
      await temporal.connection.close();
    },
  };
}

function delegate(workers: { sealer: Sealer }): Sealer {
  return {
    seal: (plain) => workers.sealer.seal(plain),
    open: (sealed) => workers.sealer.open(sealed),
  };
}
