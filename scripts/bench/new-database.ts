import { sql } from 'kysely';
import { openDatabase } from '../../src/database/connection.ts';

let databases = 0;

/** @returns the URL of a new, empty database on the same server */
export async function newDatabase(serverUrl: string, purpose: string): Promise<string> {
  const name = `${purpose}_${(databases += 1)}`;
  const db = openDatabase(serverUrl, { maxConnections: 1 });
  await sql`create database ${sql.id(name)}`.execute(db).finally(() => db.destroy());
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}
