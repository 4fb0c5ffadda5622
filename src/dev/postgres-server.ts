import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import pg from 'pg';
import { startServer, untilReady } from './child-process.ts';
import { findPostgresBinaries, type PostgresUser, postgresUser } from './postgres-binaries.ts';

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

/** Starts a Postgres on 127.0.0.1 and waits until it answers. @throws Error that says why it did not come up */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const { directory, port, database, logFile, settings = {} } = options;
  const binaries = await findPostgresBinaries();
  const user = await postgresUser();
  const password = passwordBeside(directory);
  if (!existsSync(join(directory, 'PG_VERSION'))) await initialise(binaries.initdb, directory, password, user);
  const pidFile = join(directory, 'postmaster.pid');
  await stopStalePostgres(directory, pidFile);

  const flags = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '', ...settings };
  const args = ['-D', directory, ...Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  const server = startServer({ ...user.command(binaries.postgres, args, [directory]), logFile });
  const url = (name: string) => `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${name}`;
  await untilReady('Postgres', {
    server,
    logFile,
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
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // A copy, which the user that runs initdb can read; initdb wants the data folder itself to be empty.
  const passwordFile = `${directory}-password.initdb`;
  writeFileSync(passwordFile, password, { mode: 0o600 });
  for (const path of [directory, passwordFile]) {
    if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid);
  }
  const wanted = [
    '-D',
    directory,
    '-U',
    SUPERUSER,
    '--auth=scram-sha-256',
    `--pwfile=${passwordFile}`,
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
  ];
  const { command, args, options } = user.command(initdb, wanted, [directory]);
  try {
    await execa(command, args, options);
  } finally {
    rmSync(passwordFile);
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
async function stopStalePostgres(directory: string, pidFile: string): Promise<void> {
  if (!existsSync(pidFile)) return;
  const [pidLine, directoryLine] = readFileSync(pidFile, 'utf8').split('\n');
  const pid = Number(pidLine);
  if (directoryLine !== directory || !isPostgres(pid)) return;
  process.kill(pid, 'SIGINT');
  for (let waited = 0; waited < 10_000 && existsSync(pidFile); waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The number may have gone to another process since the file was written. */
function isPostgres(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const commandLine = `/proc/${pid}/cmdline`;
    return !existsSync(commandLine) || readFileSync(commandLine, 'utf8').includes('postgres');
  } catch {
    return false;
  }
}
