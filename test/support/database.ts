import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { TEMPLATE_DATABASE } from './services.ts';

export interface TestDatabase {
  url: string;
  db: ForgeflowDatabase;
  drop(): Promise<void>;
}

/** Any number: whoever copies the template holds this lock, since a copy of it bars a second one. */
const CLONING_LOCK = 4_711;

/** A migrated, empty database of one's own. */
export async function cloneDatabase(databaseServerUrl = inject('databaseServerUrl')): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const serverUrl = new URL(databaseServerUrl);
  await onServer(serverUrl, async (client) => {
    await client.query('select pg_advisory_lock($1)', [CLONING_LOCK]);
    await client.query(`create database ${name} template ${TEMPLATE_DATABASE}`);
  });
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const db = openDatabase(url.href);
  return {
    url: url.href,
    db,
    async drop() {
      await db.destroy();
      await onServer(serverUrl, (client) => client.query(`drop database ${name} with (force)`));
    },
  };
}

/** A database that is there already, and stays. */
export function useDatabase(url: string): TestDatabase {
  const db = openDatabase(url);
  return { url, db, drop: () => db.destroy() };
}

async function onServer(serverUrl: URL, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const url = new URL(serverUrl);
  url.pathname = '/postgres';
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
