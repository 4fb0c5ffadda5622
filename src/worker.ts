import { createActivities } from '../activities/index.ts';
import { type Config, ConfigError, required } from './config.ts';
import { type ForgeflowDatabase, openDatabase } from './database/connection.ts';
import { pendingMigrations } from './database/migrate.ts';
import { anySealedSecret } from './database/subscriptions.ts';
import { createAddressGuard } from './egress/address-guard.ts';
import { createSender } from './egress/send.ts';
import type { Logger } from './logging.ts';
import { createSealer, type Sealer } from './secrets/sealer.ts';
import { connectWorkers } from './temporal/worker-connection.ts';
import type { TaskQueue } from './temporal/task-queues.ts';
import { createWorkers, installRuntime, type RunningWorkers, runWorkers } from './temporal/worker.ts';

export interface WorkerProcessOptions {
  config: Config;
  queues: readonly TaskQueue[];
  logger: Logger;
  /** How long a shutdown waits for attempts in flight, in ms; as long as an attempt can take when left out. */
  graceMs?: number;
}

/** Puts a worker process together: configuration in, workers at work out. @throws ConfigError for what is missing */
export async function startWorkerProcess({
  config,
  queues,
  logger,
  graceMs,
}: WorkerProcessOptions): Promise<RunningWorkers> {
  const databaseUrl = required('DATABASE_URL', config.databaseUrl);
  const secretsKey = required('SECRETS_KEY', config.secretsKey, 'it is not set (make one: openssl rand -base64 32)');
  installRuntime(logger, config.metricsPort);
  const db = openDatabase(databaseUrl, {
    // Each attempt reads, then writes; a few more for the quick activities.
    maxConnections: Math.min(config.egressConcurrency, 20) + 5,
    onIdleError: (error) => {
      logger.warn('a database connection broke', { problem: error.message });
    },
  });
  const sealer = createSealer(secretsKey);
  const { connection, namespace } = await checkDatabase(db, sealer)
    .then(() => connectWorkers(config))
    .catch(async (error: unknown) => {
      await db.destroy(); // or its connections would keep the process alive for a while
      throw error;
    });
  const sender = createSender({
    guard: createAddressGuard(config.deliveryAllowedNetworks),
    timeoutMs: config.deliveryTimeoutMs,
    proxy: config.deliveryProxy,
  });
  const workers = await createWorkers({
    connection,
    namespace,
    activities: createActivities({ db, sender, sealer }),
    queues,
    egressConcurrency: config.egressConcurrency,
    graceMs: graceMs ?? config.deliveryTimeoutMs + 5_000,
  });
  const running = runWorkers(workers);
  const release = async (): Promise<void> => {
    await sender.close();
    await connection.close();
    await db.destroy();
  };
  const done = running.done.finally(release);
  done.catch(() => undefined);
  return {
    done,
    async stop() {
      await running.stop();
      await done.catch(() => undefined);
    },
  };
}

/** What would make every attempt fail is better said at once. */
async function checkDatabase(db: ForgeflowDatabase, sealer: Sealer): Promise<void> {
  const pending = await pendingMigrations(db);
  if (pending.length > 0) throw new Error(`the database lacks ${pending.join(', ')}; run "forgeflow migrate" first`);
  const sealed = await anySealedSecret(db);
  try {
    if (sealed !== undefined) sealer.open(sealed);
  } catch {
    throw new ConfigError('SECRETS_KEY', 'it is not the key that the secrets in the database were sealed with');
  }
}
