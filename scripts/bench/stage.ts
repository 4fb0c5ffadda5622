import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/dev/free-port.ts';
import { startPostgres } from '../../src/dev/postgres-server.ts';
import { findTemporalCli } from '../../src/dev/temporal-cli.ts';
import { startTemporalServer } from '../../src/dev/temporal-server.ts';
import type { Cleanup } from './cleanup.ts';
import { type Receiver, startReceiver } from './receiver.ts';

/** What all contenders of a bench use together. */
export interface Stage {
  /** Goes at the end. */
  home: string;
  databaseUrl: string;
  temporalAddress: string;
  receiver: Receiver;
}

/** A Postgres that syncs to disk, a Temporal dev server on a file, a receiver: all new, in a folder that goes at the end. */
export async function setStage(cleanup: Cleanup, say: (message: string) => void): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), 'forgeflow-bench-'));
  chmodSync(home, 0o711); // Postgres may run as another user, who has to come through
  cleanup.add(() => {
    rmSync(home, { recursive: true, force: true });
  });

  say('starting Postgres, Temporal and a receiver');
  const directory = join(home, 'postgres');
  const logFile = join(home, 'postgres.log');
  const port = await freePort();
  const postgres = await cleanup.start(() => startPostgres({ directory, port, database: 'forgeflow', logFile }));

  const temporalOptions = {
    cli: await findTemporalCli({ say }),
    port: await freePort(),
    uiPort: null,
    metricsPort: await freePort(),
    dbFile: join(home, 'temporal.db'),
    logFile: join(home, 'temporal.log'),
  };
  const temporal = await cleanup.start(() => startTemporalServer(temporalOptions));
  const receiver = await cleanup.start(startReceiver);
  return { home, databaseUrl: postgres.url, temporalAddress: temporal.address, receiver };
}
