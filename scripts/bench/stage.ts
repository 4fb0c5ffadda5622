import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../../src/dev/postgres-server.ts';
import { findTemporalCli } from '../../src/dev/temporal-cli.ts';
import { startTemporalServer, type TemporalServer } from '../../src/dev/temporal-server.ts';
import { freePort } from '../../src/free-port.ts';
import type { Cleanup } from './cleanup.ts';
import { type Behaviour, type Receivers, startReceivers } from './receiver.ts';

/** A database server, and room for what else is started. */
export interface Ground {
  /** Goes at the end. */
  home: string;
  databaseUrl: string;
  postgresPid: number;
}

/** What all contenders of a bench use together. */
export interface Stage extends Ground {
  receivers: Receivers;
}

/** Contenders have their pools side by side. */
const MANY_CONNECTIONS = { max_connections: '200' };

/** A Postgres that syncs to disk and receivers, all new, in a folder that goes at the end. */
export async function setStage(cleanup: Cleanup, behaviours: Behaviour[]): Promise<Stage> {
  const ground = await prepareGround(cleanup);
  return { ...ground, receivers: await cleanup.start(() => startReceivers(...behaviours)) };
}

/** The same without receivers. */
export async function prepareGround(cleanup: Cleanup): Promise<Ground> {
  const home = mkdtempSync(join(tmpdir(), 'forgeflow-bench-'));
  chmodSync(home, 0o711); // Postgres may run as another user, who has to come through
  cleanup.add(() => {
    rmSync(home, { recursive: true, force: true });
  });
  const directory = join(home, 'postgres');
  const logFile = join(home, 'postgres.log');
  const port = await freePort();
  const postgres = await cleanup.start(() =>
    startPostgres({ directory, port, database: 'forgeflow', logFile, settings: MANY_CONNECTIONS }),
  );
  return { home, databaseUrl: postgres.url, postgresPid: postgres.pid };
}

export interface FiledTemporal extends TemporalServer {
  dbFile: string;
}

/** A new Temporal dev server on a file of its own (SQLite, WAL). */
export async function startTemporal(
  { home, say }: { home: string; say: (message: string) => void },
  cleanup: Cleanup,
): Promise<FiledTemporal> {
  const port = await freePort();
  const dbFile = join(home, `temporal-${port}.db`);
  const options = {
    cli: await findTemporalCli({ say }),
    port,
    uiPort: null,
    metricsPort: await freePort(),
    dbFile,
    logFile: join(home, 'temporal.log'),
  };
  return { ...(await cleanup.start(() => startTemporalServer(options))), dbFile };
}
