import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { type RawBuilder, sql } from 'kysely';
import type { Database, ForgeflowDatabase } from '../../src/database/connection.ts';
import { loadBatch } from '../../src/database/first-attempts.ts';
import type { Tables } from '../../src/database/tables.ts';
import type { Handed, OpenBatches } from '../../src/egress/open-batches.ts';
import { eventually } from './eventually.ts';
import { insertBatch, type RecordedBatch } from './records.ts';

/** An activity's surroundings, which log nothing but errors. */
export function quietActivity(): MockActivityEnvironment {
  return new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
}

/** {@link insertBatch}, to a receiver. */
export async function insertBatchTo(
  db: ForgeflowDatabase,
  url: string,
  count: number,
  options: Parameters<typeof insertBatch>[2] = {},
): Promise<RecordedBatch> {
  const batch = await insertBatch(db, count, options);
  await db.updateTable('subscriptions').set({ url }).where('id', '=', batch.subscriptionId).execute();
  return batch;
}

/** Deliveries to a receiver that no batch has yet. */
export async function insertWaitingTo(
  db: ForgeflowDatabase,
  url: string,
  count: number,
  options: { payload?: string } = {},
): Promise<Pick<RecordedBatch, 'subscriptionId' | 'ids'>> {
  return insertBatchTo(db, url, count, { ...options, values: { carrier: null, started_at: null } });
}

/** Has an open batch take deliveries, as who has kept places for them does. @throws Error where it has no such places */
export function handOver(openBatches: OpenBatches, batchId: string, handed: Handed): void {
  const places = openBatches.reserve(handed.deliveries.length);
  try {
    const slot = places.slots.find((one) => one.batchId === batchId);
    if ((slot?.places ?? 0) < handed.deliveries.length) throw new Error(`the batch has ${slot?.places ?? 0} places`);
    places.hand(batchId, handed);
  } finally {
    places.release();
  }
}

/** Gives deliveries out with an open batch, as a relay does. */
export async function giveOut(
  db: ForgeflowDatabase,
  openBatches: OpenBatches,
  batchId: string,
  ids: string[],
): Promise<void> {
  await assignTo(db, batchId, ids);
  handOver(openBatches, batchId, await loadBatch(db, batchId, ids));
}

/** Deliveries are the batch's from now on, in the database alone. */
export async function assignTo(db: ForgeflowDatabase, batchId: string, ids: string[]): Promise<void> {
  await db.updateTable('deliveries').set({ carrier: batchId, started_at: new Date() }).where('id', 'in', ids).execute();
}

/** Holds a lock while the work is done. @param locking the statement that takes it */
export async function whileLocked<T>(
  db: ForgeflowDatabase,
  locking: RawBuilder<unknown>,
  work: () => Promise<T>,
): Promise<T> {
  return db.transaction().execute(async (transaction) => {
    await locking.execute(transaction);
    return work();
  });
}

/** Keeps whoever wants anything of it waiting. */
export function lockOf(table: keyof Tables): RawBuilder<unknown> {
  return sql`lock table ${sql.table(table)} in access exclusive mode`;
}

/** Waits until so many connections to this database wait for locks. @returns the process ids of their servers */
export async function untilBlocked(db: Database, count = 1): Promise<number[]> {
  return eventually(async () => {
    const { rows } = await sql<{ pid: number }>`
      select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()
    `.execute(db);
    if (rows.length !== count) throw new Error(`${rows.length} of ${count} connections wait for locks`);
    return rows.map(({ pid }) => pid);
  });
}

/** Cuts the connection that waits for a lock, as an operator may, or a Postgres that restarts. */
export async function cutBlocked(db: Database): Promise<void> {
  for (const pid of await untilBlocked(db)) await sql`select pg_terminate_backend(${pid})`.execute(db);
}

/** Changes a subscription so that nobody is told: the version of the subscriptions stays. */
export async function changeSilently(db: ForgeflowDatabase, id: string, change: { url: string }): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await sql`set local session_replication_role = replica`.execute(transaction); // its triggers sleep
    await transaction.updateTable('subscriptions').set(change).where('id', '=', id).execute();
  });
}

/** A delivery that is nowhere in the database, as one that was deleted after it was handed over. */
export function goneDelivery(): Handed['deliveries'][number] {
  return {
    id: randomUUID(),
    number: 1,
    windowStartedAt: null,
    eventId: randomUUID(),
    topic: 'a.b',
    payload: '1',
    subscriptionId: randomUUID(),
  };
}
