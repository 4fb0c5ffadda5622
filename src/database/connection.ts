import { Kysely, PostgresDialect, type Transaction } from 'kysely';
import pg from 'pg';
import { prepareMarked } from './prepared.ts';
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
/** A plan that was made while a table was small must not be kept when it has grown. */
const CONNECTION_LIFE_SECONDS = 60;

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
    maxLifetimeSeconds: CONNECTION_LIFE_SECONDS,
  });
  // Without a listener, node-postgres ends the process when an idle connection breaks.
  pool.on('error', (error) => onIdleError?.(error));
  // One that breaks while it is lent out fails its query; without a listener of its own it would end the process too.
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('connect', prepareMarked);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  pools.set(db, pool);
  return db;
}

const pools = new WeakMap<ForgeflowDatabase, pg.Pool>();

/** A connection for oneself, for what Kysely cannot do (COPY). */
export interface LentConnection {
  client: pg.ClientBase;
  /** The same connection. It begins no transactions: that is done on `client`. */
  db: Database;
}

/**
 * Lends a connection of the pool out; what is begun and not ended on it when the work fails is undone.
 * @param signal breaks it off, together with the connection
 * @throws the signal's reason once it aborts, and what the work throws
 */
export async function withConnection<T>(
  db: ForgeflowDatabase,
  work: (connection: LentConnection) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  const client = await pools.get(db)?.connect();
  if (client === undefined) throw new Error('this database was not opened by openDatabase');
  const queryable = { query: client.query.bind(client) as never, release: () => undefined };
  const pool = { connect: () => Promise.resolve(queryable), end: () => Promise.resolve() };
  const breakOff = (): void => void (client as pg.PoolClient & pg.Client).end();
  signal?.addEventListener('abort', breakOff, { once: true });
  let isWhole = false;
  try {
    signal?.throwIfAborted();
    const result = await work({ client, db: new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) }) });
    isWhole = signal?.aborted !== true;
    return result;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', breakOff);
    client.release(!isWhole);
  }
}

/** Whether the error is Postgres' refusal to store a second row with the same unique value. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505';
}

/** Whether Postgres ended the transaction since it and another one waited for each other. */
export function isDeadlock(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '40P01';
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
