import { Kysely, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import type { Tables } from './tables.ts';

/** A database or a transaction of it: what every function of this room takes first. */
export type Database = Kysely<Tables> | Transaction<Tables>;
export type ForgeflowDatabase = Kysely<Tables>;

export interface DatabaseOptions {
  /** The most connections to hold at once. */
  maxConnections?: number;
  /** Told of errors on idle connections, as when Postgres restarts; the pool replaces them by itself. */
  onIdleError?: (error: Error) => void;
}

/** For a new connection, or for one of the pool to come free. */
const CONNECT_WITHIN_MS = 30_000;

/** @param url `postgres://user:password@host:port/database` */
export function openDatabase(
  url: string,
  { maxConnections = 10, onIdleError }: DatabaseOptions = {},
): ForgeflowDatabase {
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    application_name: 'forgeflow',
    keepAlive: true, // or a server that vanished without a word would be waited for until TCP gives up
    connectionTimeoutMillis: CONNECT_WITHIN_MS,
  });
  // Without a listener, node-postgres ends the process when an idle connection breaks.
  pool.on('error', (error) => onIdleError?.(error));
  // One that breaks while it is lent out fails its query; without a listener of its own it would end the process too.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

/** Whether the error is Postgres' refusal to store a second row with the same unique value. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505';
}

// Class 08 is connection exceptions; 57P01–57P03 are what a server says that shuts down or starts up.
const CONNECTION_FAULTS = /^(08...|57P0[123]|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)$/;

/** Whether the statement failed because the server was away, so that the same statement may work in a moment. */
export function isConnectionFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string') return CONNECTION_FAULTS.test(error.code);
  // node-postgres gives these no code.
  return /^Connection terminated|^timeout exceeded when trying to connect|^Client has encountered a connection error/.test(
    error.message,
  );
}
