import { rmSync, writeFileSync } from 'node:fs';
import { type Config, readRunningServices, type RunningServices, runningServicesFile } from '../config.ts';
import { openDatabase } from '../database/connection.ts';
import { migrateUp } from '../database/migrate.ts';
import { Refusal } from '../domain/refusal.ts';
import { createLogger, type Logger } from '../logging.ts';
import { connectClient } from '../temporal/connection.ts';
import { registerSearchAttributes } from '../temporal/search-attributes.ts';
import { TASK_QUEUES } from '../temporal/task-queues.ts';
import { startWorkerProcess } from '../worker.ts';
import { type LocalServices, secretsKeyIn, startLocalServices } from './local-services.ts';

/** Ctrl-C has to be quick here; an attempt that is broken off is made again at the next start. */
const GRACE_MS = 3_000;

export interface DevAddresses {
  databaseUrl: string;
  temporalAddress: string;
  webUiUrl: string | null;
  ingressUrl: string | null;
}

export interface DevSystem {
  addresses: DevAddresses;
  config: Config;
  /** Settles when the worker has ended; rejects when it broke down. */
  done: Promise<void>;
  stop(): Promise<void>;
}

/** The whole of forgeflow on this machine. Its addresses are left in the home, where other commands find them. */
export async function startDev(config: Config): Promise<DevSystem> {
  const { home } = config;
  const other = readRunningServices(home);
  if (other !== undefined)
    throw new Refusal('conflict', `a "forgeflow dev" of ${home} is running already (pid ${other.pid})`);
  const logger = createLogger(config.logLevel);
  const services = await startLocalServices({
    home,
    databaseUrl: config.databaseUrl,
    temporalAddress: config.temporalEnv['TEMPORAL_ADDRESS'],
    say: (message) => process.stderr.write(`${message}\n`),
  });
  try {
    return await startWorkerOn(services, config, logger);
  } catch (error) {
    rmSync(runningServicesFile(home), { force: true });
    await services.stop();
    throw error;
  }
}

async function startWorkerOn(services: LocalServices, given: Config, logger: Logger): Promise<DevSystem> {
  const { databaseUrl, temporalAddress, webUiUrl } = services;
  const secretsKey = given.secretsKey ?? secretsKeyIn(given.home);
  const running: RunningServices = { pid: process.pid, databaseUrl, temporalAddress, webUiUrl, secretsKey };
  const config: Config = {
    ...given,
    databaseUrl,
    secretsKey,
    webUiUrl: webUiUrl ?? undefined,
    temporalEnv: { ...given.temporalEnv, TEMPORAL_ADDRESS: temporalAddress },
  };
  await prepare(config, databaseUrl);
  const workers = await startWorkerProcess({ config, queues: TASK_QUEUES, logger, graceMs: GRACE_MS });
  writeFileSync(runningServicesFile(given.home), JSON.stringify(running), { mode: 0o600 });
  return {
    addresses: { databaseUrl, temporalAddress, webUiUrl, ingressUrl: null },
    config,
    done: workers.done,
    async stop() {
      rmSync(runningServicesFile(given.home), { force: true });
      await workers.stop();
      await services.stop();
    },
  };
}

async function prepare(config: Config, databaseUrl: string): Promise<void> {
  const db = openDatabase(databaseUrl);
  await migrateUp(db).finally(() => db.destroy());
  const client = await connectClient(config);
  await registerSearchAttributes(client).finally(() => client.connection.close());
}
