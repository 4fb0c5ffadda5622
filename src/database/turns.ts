import { sql } from 'kysely';
import type { Database } from './connection.ts';

/** What is to be written by one transaction at a time. The numbers are the locks' names in Postgres. */
const TURNS = { emails: 1, permissions: 2 } as const;
/** Ours among the locks of two numbers. */
const OURS = 7_401;

/**
 * Waits until no other transaction has that turn, and keeps it until this one ends. Before the rows that it is about:
 * whoever has them locked must not wait for a turn.
 * @param shared beside others that only read what the turn is about
 */
export async function takeTurn(
  db: Database,
  turn: keyof typeof TURNS,
  { shared = false }: { shared?: boolean } = {},
): Promise<void> {
  if (!db.isTransaction) throw new Error('a turn is taken for a transaction');
  const take = sql.raw(shared ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock');
  await sql`select ${take}(${OURS}::int, ${TURNS[turn]}::int)`.execute(db);
}

/** Postgres' time of now, to the microsecond: before GitLab is asked, to tell whose answer is the newer one. */
export async function databaseTime(db: Database): Promise<string> {
  const { rows } = await sql<{ now: string }>`select clock_timestamp()::text as now`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error('Postgres told no time');
  return row.now;
}
