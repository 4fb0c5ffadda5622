import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { preferPort, freePort } from '../free-port.ts';
import { startPostgres } from './postgres-server.ts';
import { stopStaleServer } from './stale-server.ts';
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
  const starting = [
    databaseUrl === undefined ? postgresIn(home, stops) : Promise.resolve({ url: databaseUrl }),
    temporalAddress === undefined
      ? temporalIn(home, say, stops)
      : Promise.resolve({ address: temporalAddress, webUiUrl: null }),
  ] as const;
  try {
    const [postgres, temporal] = await Promise.all(starting);
    return { databaseUrl: postgres.url, temporalAddress: temporal.address, webUiUrl: temporal.webUiUrl, stop };
  } catch (error) {
    await Promise.allSettled(starting); // the other one may still be coming up, and would be left running
    await stop();
    throw error;
  }
}

async function postgresIn(home: string, stops: (() => Promise<void>)[]) {
  const [directory, logFile] = [join(home, 'postgres'), join(home, 'postgres.log')];
  const server = await onPorts(async (port) =>
    startPostgres({ directory, port: await port(54_320), database: 'forgeflow', logFile }),
  );
  stops.push(() => server.stop());
  return server;
}

async function temporalIn(home: string, say: (message: string) => void, stops: (() => Promise<void>)[]) {
  const cli = await findTemporalCli({ say });
  const [dbFile, logFile] = [join(home, 'temporal.db'), join(home, 'temporal.log')];
  const pidFile = join(home, 'temporal.pid');
  await stopStaleTemporal(pidFile, dbFile);
  const server = await onPorts(async (port) =>
    startTemporalServer({
      cli,
      port: await port(7233),
      uiPort: await port(8233),
      metricsPort: await freePort(),
      dbFile,
      logFile,
    }),
  );
  writeFileSync(pidFile, String(server.pid));
  stops.push(async () => {
    await server.stop();
    rmSync(pidFile, { force: true });
  });
  return server;
}

/** On the usual ports; on any others where somebody else took one of them between our look at it and the server's. */
async function onPorts<T>(start: (port: (usual: number) => Promise<number>) => Promise<T>): Promise<T> {
  try {
    return await start(preferPort);
  } catch (error) {
    if (!(error instanceof Error) || !/address already in use/i.test(error.message)) throw error;
    return await start(freePort);
  }
}

/** A `forgeflow dev` that was killed leaves its server behind, and two on one file would spoil it. */
async function stopStaleTemporal(pidFile: string, dbFile: string): Promise<void> {
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, 'utf8'));
  await stopStaleServer({ pid, itsArguments: ['start-dev', dbFile], signals: ['SIGTERM', 'SIGKILL'] });
  rmSync(pidFile, { force: true });
}

/** The key that seals secrets in a home's database: made once, readable by its owner only. */
export function secretsKeyIn(home: string): string {
  mkdirSync(home, { recursive: true });
  const file = join(home, 'secrets-key');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}
