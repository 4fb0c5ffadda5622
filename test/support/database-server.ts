import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { freePort } from '../../src/free-port.ts';
import { startPostgres } from '../../src/dev/postgres-server.ts';
import { CARELESS_POSTGRES, killedAtExit, temporaryDirectory } from './services.ts';

/** A Postgres of one's own, to be taken away and given back. */
export interface DatabaseServer {
  /** A migrated, empty database; the same after each start. */
  url: string;
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

export async function startDatabaseServer(): Promise<DatabaseServer> {
  const home = temporaryDirectory('forgeflow-test-postgres-');
  const port = await freePort();
  const run = async () => {
    const server = await startPostgres({
      directory: join(home, 'data'),
      port,
      database: 'forgeflow',
      logFile: join(home, 'postgres.log'),
      settings: CARELESS_POSTGRES,
    });
    return { url: server.url, stop: killedAtExit(server) };
  };
  let running = await run();
  const { url } = running;
  const db = openDatabase(url);
  await migrateUp(db).finally(() => db.destroy());
  return {
    url,
    stop: () => running.stop(),
    async start() {
      running = await run();
    },
    async remove() {
      await running.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
