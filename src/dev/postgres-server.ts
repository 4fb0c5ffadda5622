import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import pg from 'pg';
import { startServer, untilReady } from './child-process.ts';
import { findPostgresBinaries } from './postgres-binaries.ts';
import { type PostgresUser, postgresUser } from './postgres-user.ts';
import { stopStaleServer } from './stale-server.ts';

export interface PostgresServerOptions {
  /** Its data; made when it is not there. The password lies beside it. */
  directory: string;
  port: number;
  /** Made when it is not there. */
  database: string;
  logFile: string;
  /** Settings of postgresql.conf. */
  settings?: Record<string, string>;
}

export interface PostgresServer {
  url: string;
  pid: number;
  /** Breaks off what is still connected. */
  stop(): Promise<void>;
}

const SUPERUSER = 'postgres';
const CTYPE = process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8';

/** Starts a Postgres on 127.0.0.1 and waits until it answers. @throws Error that says why it did not come up */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const { directory, port, database, logFile, settings = {} } = options;
  const binaries = await findPostgresBinaries();
  const user = postgresUser();
  const password = passwordBeside(directory);
  if (!existsSync(join(directory, 'PG_VERSION'))) await initialise(binaries.initdb, directory, password, user);
  await stopStalePostgres(directory);

  const flags = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '', ...settings };
  const args = ['-D', directory, ...Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const server = startServer({ ...user.command(binaries.postgres, args, directory), logFile });
  const url = (name: string) => `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${name}`;
  await untilReady('Postgres', {
    server,
    timeoutMs: 30_000,
    ready: () => createDatabase(url('postgres'), database),
  });
  return {
    url: url(database),
    pid: server.pid,
    // "Fast" shutdown, then "immediate", which is safe too: the next start recovers from the log.
    stop: () => server.stop(['SIGINT', 'SIGQUIT', 'SIGKILL'], 3_000),
  };
}

function passwordBeside(directory: string): string {
  const file = `${directory}-password`;
  mkdirSync(dirname(file), { recursive: true });
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

async function initialise(initdb: string, directory: string, password: string, user: PostgresUser): Promise<void> {
  // Made beside and renamed when it is whole: half of one, from a start that was killed, would pass for a database.
  const unfinished = `${directory}.unfinished`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  // A copy, which the user that runs initdb can read; initdb wants the data folder itself to be empty.
  const passwordFile = `${directory}-password.initdb`;
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (user.owner !== undefined) {
    for (const path of [unfinished, passwordFile]) chownSync(path, user.owner.uid, user.owner.gid);
  }
  const names = ['-U', SUPERUSER, '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  // Sorted by bytes, the same everywhere; but what a letter is, and its capital, holds for all of Unicode.
  const locale = ['--encoding=UTF8', '--locale=C', `--lc-ctype=${CTYPE}`];
  const { command, args, options } = user.command(
    initdb,
    ['-D', unfinished, ...names, ...locale, '--no-sync'],
    directory,
  );
  try {
    const { failed, stderr } = await execa(command, args, { ...options, reject: false, stdin: 'ignore' });
    if (failed) throw new Error(`Postgres could not make its data folder: ${stderr.trim().split('\n').at(-1) ?? ''}`);
    renameSync(unfinished, directory);
  } finally {
    rmSync(passwordFile);
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** @returns false while the server does not answer yet */
async function createDatabase(adminUrl: string, name: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: adminUrl });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${pg.escapeIdentifier(name)}`);
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Ends a server that still runs on this data because whoever started it was killed. */
async function stopStalePostgres(directory: string): Promise<void> {
  const file = join(directory, 'postmaster.pid');
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  await stopStaleServer({ pid, itsArguments: ['postgres', directory], signals: ['SIGINT', 'SIGQUIT'] });
}
