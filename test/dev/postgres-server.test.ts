import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, expect, test } from 'vitest';
import { freePort, preferPort } from '../../src/free-port.ts';
import { type PostgresServer, startPostgres } from '../../src/dev/postgres-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'forgeflow-pg-')); // closed to others, like a clone in /root

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function start(): Promise<PostgresServer> {
  return startPostgres({
    directory: join(folder, 'data'),
    port: await freePort(),
    database: 'forgeflow',
    logFile: join(folder, 'postgres.log'),
    settings: { fsync: 'off' },
  });
}

async function query<T>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows as T[];
  } finally {
    await client.end();
  }
}

test('data outlives a stop; a server left behind is ended by the next start; the password is for its owner only', async () => {
  const first = await start();
  await query(first.url, 'create table kept as select 42 as answer');
  await first.stop();

  const leftBehind = await start();
  const next = await start();
  expect(() => process.kill(leftBehind.pid, 0)).toThrow();
  expect(await query(next.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
  expect(statSync(join(folder, 'data-password')).mode & 0o777).toBe(0o600);
  await expect(query(next.url.replace(/:[^:@/]+@/, ':wrong@'), 'select 1')).rejects.toThrow(
    /password authentication failed/,
  );
  await next.stop();
});

test('one that cannot come up says why', async () => {
  const options = {
    directory: join(folder, 'other'),
    port: await freePort(),
    database: 'x',
    logFile: join(folder, 'other.log'),
  };
  await expect(startPostgres({ ...options, settings: { max_connections: 'many' } })).rejects.toThrow(
    /^Postgres ended while it started \(exit code 1\): .*max_connections/,
  );
});

test('a wanted port is taken when it is free, another one when it is not', async () => {
  const server = await start();
  const taken = Number(new URL(server.url).port);
  expect(await preferPort(taken)).not.toBe(taken);
  await server.stop();
  expect(await preferPort(taken)).toBe(taken);
});
