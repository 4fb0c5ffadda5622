import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { preferPort, freePort } from './free-port.ts';
import { startPostgres } from './postgres-server.ts';
import { findTemporalCli } from './temporal-cli.ts';
import { startTemporalServer } from './temporal-server.ts';

export interface LocalServicesOptions {
  /** Where the data is kept. */
  home: string;
  /** Told what is being done. */
  say: (message: string) => void;
  /** A Postgres and a Temporal server that are there already and are used instead. */
  databaseUrl?: string | undefined;
  temporalAddress?: string | undefined;
}

export interface LocalServices {
  databaseUrl: string;
  temporalAddress: string;
  /** Null where the Temporal server is not ours. */
  webUiUrl: string | null;
  stop(): Promise<void>;
}

/** Postgres and Temporal on this machine, with data that outlives them. */
export async function startLocalServices({
  home,
  say,
  databaseUrl,
  temporalAddress,
}: LocalServicesOptions): Promise<LocalServices> {
  mkdirSync(home, { recursive: true });
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(stops.map((end) => end()));
  };
  try {
    const [postgres, temporal] = await Promise.all([
      databaseUrl === undefined ? postgresIn(home, stops) : { url: databaseUrl },
      temporalAddress === undefined ? temporalIn(home, say, stops) : { address: temporalAddress, webUiUrl: null },
    ]);
    return { databaseUrl: postgres.url, temporalAddress: temporal.address, webUiUrl: temporal.webUiUrl, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function postgresIn(home: string, stops: (() => Promise<void>)[]) {
  const port = await preferPort(54_320);
  const logFile = join(home, 'postgres.log');
  const server = await startPostgres({ directory: join(home, 'postgres'), port, database: 'forgeflow', logFile });
  stops.push(() => server.stop());
  return server;
}

async function temporalIn(home: string, say: (message: string) => void, stops: (() => Promise<void>)[]) {
  const cli = await findTemporalCli({ say });
  const dbFile = join(home, 'temporal.db');
  const pidFile = join(home, 'temporal.pid');
  await stopStaleTemporal(pidFile, dbFile);
  const server = await startTemporalServer({
    cli,
    port: await preferPort(7233),
    uiPort: await preferPort(8233),
    metricsPort: await freePort(),
    dbFile,
    logFile: join(home, 'temporal.log'),
  });
  writeFileSync(pidFile, String(server.pid));
  stops.push(async () => {
    await server.stop();
    rmSync(pidFile, { force: true });
  });
  return server;
}

/** A `forgeflow dev` that was killed leaves its server behind, and two on one file would spoil it. */
async function stopStaleTemporal(pidFile: string, dbFile: string): Promise<void> {
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const commandLine = `/proc/${pid}/cmdline`;
  // Where there is no /proc nobody can tell whose number it is now; then it is left alone.
  for (
    let signals = 0;
    signals < 60 && existsSync(commandLine) && readFileSync(commandLine, 'utf8').includes(dbFile);
    signals += 1
  ) {
    process.kill(pid, signals < 50 ? 'SIGTERM' : 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  rmSync(pidFile, { force: true });
}

/** The key that seals secrets in a home's database: made once, readable by its owner only. */
export function secretsKeyIn(home: string): string {
  mkdirSync(home, { recursive: true });
  const file = join(home, 'secrets-key');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}
