import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { startPostgres } from '../../src/dev/postgres-server.ts';
import { findTemporalCli } from '../../src/dev/temporal-cli.ts';
import { startTemporalServer } from '../../src/dev/temporal-server.ts';
import { freePort } from '../../src/free-port.ts';
import { registerSearchAttributes } from '../../src/temporal/search-attributes.ts';
import type { Cleanup } from '../bench/cleanup.ts';

/** A Postgres and a Temporal server that can be taken away, and given back on the same port with the same data. */
export interface Services {
  databaseUrl: string;
  temporalAddress: string;
  /** Every process of theirs there has been. */
  readonly pids: number[];
  /** In order, but what is connected is broken off. */
  stopPostgres(): Promise<void>;
  startPostgres(): Promise<void>;
  /** By SIGKILL. */
  killTemporal(): Promise<void>;
  startTemporal(): Promise<void>;
}

/** New ones, that know forgeflow's tables and search attributes, in a folder that is there. */
export async function startServices(home: string, cleanup: Cleanup, say: (message: string) => void): Promise<Services> {
  const pids: number[] = [];
  const postgresOptions = {
    directory: join(home, 'postgres'),
    port: await freePort(),
    database: 'forgeflow',
    logFile: join(home, 'postgres.log'),
  };
  const temporalOptions = {
    cli: await findTemporalCli({ say }),
    port: await freePort(),
    uiPort: null,
    metricsPort: await freePort(),
    dbFile: join(home, 'temporal.db'),
    logFile: join(home, 'temporal.log'),
  };
  const start = async <T extends { pid: number; stop(): Promise<void> }>(server: () => Promise<T>): Promise<T> => {
    const started = await cleanup.start(server);
    pids.push(started.pid);
    return started;
  };
  let [postgres, temporal] = await Promise.all([
    start(() => startPostgres(postgresOptions)),
    start(() => startTemporalServer(temporalOptions)),
  ]);
  await prepare(postgres.url, temporal.address);
  return {
    databaseUrl: postgres.url,
    temporalAddress: temporal.address,
    pids,
    stopPostgres: () => postgres.stop(),
    async startPostgres() {
      postgres = await start(() => startPostgres(postgresOptions));
    },
    async killTemporal() {
      process.kill(temporal.pid, 'SIGKILL');
      await temporal.stop();
    },
    async startTemporal() {
      temporal = await start(() => startTemporalServer(temporalOptions));
    },
  };
}

async function prepare(databaseUrl: string, temporalAddress: string): Promise<void> {
  const db = openDatabase(databaseUrl);
  await migrateUp(db).finally(() => db.destroy());
  const connection = await Connection.connect({ address: temporalAddress });
  await registerSearchAttributes(new Client({ connection })).finally(() => connection.close());
}
