import { rmSync, writeFileSync } from 'node:fs';
import type { Config } from '../config.ts';
import { openDatabase } from '../database/connection.ts';
import { migrateUp } from '../database/migrate.ts';
import { Refusal } from '../domain/refusal.ts';
import { holdPort, type HeldPort } from '../free-port.ts';
import { startIngressProcess } from '../ingress/process.ts';
import { createLogger, type Logger } from '../logging.ts';
import { readRunningServices, type RunningServices, runningServicesFile } from '../running-services.ts';
import { connectClient } from '../temporal/connection.ts';
import { syncSchedules } from '../temporal/schedules.ts';
import { registerSearchAttributes } from '../temporal/search-attributes.ts';
import { TASK_QUEUES } from '../temporal/task-queues.ts';
import { startWorkerProcess } from '../worker.ts';
import { ingressTokenFile, ingressTokenIn } from './ingress-token.ts';
import { type LocalServices, secretsKeyIn, startLocalServices } from './local-services.ts';

/** Ctrl-C has to be quick here; an attempt that is broken off is made again at the next start. */
const GRACE_MS = 3_000;

export interface DevAddresses {
  databaseUrl: string;
  temporalAddress: string;
  webUiUrl: string | null;
  ingressUrl: string;
}

export interface DevSystem {
  addresses: DevAddresses;
  config: Config;
  /** Where the ingress has its token from, for people: a file, or the setting. */
  ingressTokenFrom: string;
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
    return await startProcessesOn(services, config, logger);
  } catch (error) {
    rmSync(runningServicesFile(home), { force: true });
    await services.stop();
    throw error;
  }
}

async function startProcessesOn(services: LocalServices, given: Config, logger: Logger): Promise<DevSystem> {
  // The workers are told where the ingress will be, which starts after them.
  const ingressPort = await holdPort(given.ingressPort);
  try {
    return await startProcesses(services, given, logger, ingressPort);
  } finally {
    await ingressPort.release();
  }
}

async function startProcesses(
  services: LocalServices,
  given: Config,
  logger: Logger,
  ingressPort: HeldPort,
): Promise<DevSystem> {
  const { databaseUrl, temporalAddress, webUiUrl } = services;
  const secretsKey = given.secretsKey ?? secretsKeyIn(given.home);
  const ingressToken = given.ingressToken ?? ingressTokenIn(given.home);
  const config: Config = {
    ...given,
    databaseUrl,
    secretsKey,
    ingressToken,
    ingressUrl: given.ingressUrl ?? `http://127.0.0.1:${ingressPort.port}`,
    webUiUrl: webUiUrl ?? undefined,
    temporalEnv: { ...given.temporalEnv, TEMPORAL_ADDRESS: temporalAddress },
  };
  await prepare(config, databaseUrl);
  const workers = await startWorkerProcess({
    config,
    queues: TASK_QUEUES,
    logger,
    graceMs: GRACE_MS,
    servesMetrics: true,
  });
  await ingressPort.release();
  const ingress = await startIngressProcess({
    config,
    logger,
    host: '127.0.0.1',
    port: ingressPort.port,
    metrics: workers.metrics,
  }).catch(async (error: unknown) => {
    await workers.stop();
    throw error;
  });
  const addresses: DevAddresses = { databaseUrl, temporalAddress, webUiUrl, ingressUrl: ingress.url };
  const running: RunningServices = { pid: process.pid, ...addresses, secretsKey, ingressToken };
  writeFileSync(runningServicesFile(given.home), JSON.stringify(running), { mode: 0o600 });
  return {
    addresses,
    config,
    ingressTokenFrom: given.ingressToken === undefined ? ingressTokenFile(given.home) : 'INGRESS_TOKEN',
    done: workers.done,
    async stop() {
      rmSync(runningServicesFile(given.home), { force: true });
      await ingress.stop();
      await workers.stop();
      await services.stop();
    },
  };
}

async function prepare(config: Config, databaseUrl: string): Promise<void> {
  const db = openDatabase(databaseUrl);
  await migrateUp(db).finally(() => db.destroy());
  const client = await connectClient(config);
  try {
    await registerSearchAttributes(client);
    await syncSchedules(client, config);
  } finally {
    await client.connection.close();
  }
}
