import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { recordAttempt } from '../../src/database/attempts.ts';
import type { Database } from '../../src/database/connection.ts';
import { reopenDelivery } from '../../src/database/deliveries.ts';
import { insertEvent } from '../../src/database/events.ts';
import { deleteOldDeliveries, deleteOldEvents, FROM_THE_OLDEST, type SweptTo } from '../../src/database/retention.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { insertPendingDelivery } from '../support/records.ts';
import { countRecords, DAY_MS, deleteAllRecords, insertOld } from './retention-rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(() => deleteAllRecords(database.db));

const CUTOFF = new Date(Date.now() - 30 * DAY_MS);

/** @returns how many each chunk deleted */
async function sweep(deleteChunk: typeof deleteOldDeliveries, limit = 500, db: Database = database.db) {
  const deleted: number[] = [];
  for (let next: SweptTo | null = FROM_THE_OLDEST; next !== null;) {
    const swept = await deleteChunk(db, CUTOFF, next, limit);
    deleted.push(swept.deleted);
    next = swept.next;
  }
  return deleted;
}

const ids = async (table: 'deliveries' | 'events'): Promise<string[]> =>
  (await database.db.selectFrom(table).select('id').where('id', 'is not', null).execute()).map(({ id }) => id).sort();

describe('J12: deliveries', () => {
  test('J12: that are over and older than the cutoff go, chunk after chunk, and their attempts with them', async () => {
    const { db } = database;
    for (const state of ['delivered', 'failed', 'cancelled'] as const) {
      await insertOld(db, { count: 8, daysOld: 31, state, attempts: 3 });
      await insertOld(db, { count: 2, daysOld: 29, state, attempts: 3 });
    }
    expect(await sweep(deleteOldDeliveries, 10)).toEqual([10, 10, 4]);
    expect(await countRecords(db)).toEqual({ deliveries: 6, attempts: 18, events: 30 });
  });

  test('J12: the oldest go first, and one that is exactly as old as the cutoff stays', async () => {
    const { db } = database;
    const [edge = ''] = await insertOld(db, { count: 1, daysOld: 30, state: 'delivered' });
    await sql`update deliveries set date_created = ${CUTOFF}`.execute(db);
    const old = await insertOld(db, { count: 5, daysOld: 40, state: 'delivered' });
    const { deleted, next } = await deleteOldDeliveries(db, CUTOFF, FROM_THE_OLDEST, 3);
    expect(deleted).toBe(3);
    expect(next?.id).toBe(old[2]);
    expect(await ids('deliveries')).toEqual([edge, ...old.slice(3)].sort());
    await sweep(deleteOldDeliveries);
    expect(await ids('deliveries')).toEqual([edge]);
  });

  test('J12: many of the same moment are told apart by their ids, whatever the size of a chunk', async () => {
    const { db } = database;
    await insertOld(db, { count: 25, daysOld: 31, state: 'delivered' });
    await sql`update deliveries set date_created = ${CUTOFF}::timestamptz - interval '1 microsecond'`.execute(db);
    await sql`update events set created_at = ${CUTOFF}::timestamptz - interval '1 microsecond'`.execute(db);
    expect(await sweep(deleteOldDeliveries, 5)).toEqual([5, 5, 5, 5, 5, 0]);
    expect(await sweep(deleteOldEvents, 5)).toEqual([5, 5, 5, 5, 5, 0]);
  });

  test('J12: that are pending stay, however old; so does one that is queued again', async () => {
    const { db } = database;
    const pending = await insertOld(db, { count: 5, daysOld: 400, state: 'pending', attempts: 2 });
    const [again = ''] = await insertOld(db, { count: 10, daysOld: 31, state: 'failed', attempts: 2 });
    expect(await reopenDelivery(db, again, true)).toBe(true);
    expect(await sweep(deleteOldDeliveries)).toEqual([9]);
    expect(await ids('deliveries')).toEqual([...pending, again].sort());
    expect(await countRecords(db)).toMatchObject({ attempts: 12 });
  });

  test('J12: one that somebody queues again at this very moment is passed by, and nobody waits', async () => {
    const { db } = database;
    const [again = ''] = await insertOld(db, { count: 4, daysOld: 31, state: 'failed' });
    await db.transaction().execute(async (transaction) => {
      await reopenDelivery(transaction, again, true);
      expect(await sweep(deleteOldDeliveries, 2)).toEqual([2, 1]);
    });
    await sweep(deleteOldDeliveries);
    expect(await ids('deliveries')).toEqual([again]);
  });

  test('J12: one whose last attempt is still being written down is gone for it, like one whose subscription was deleted', async () => {
    const { db } = database;
    const [id = ''] = await insertOld(db, { count: 1, daysOld: 31, state: 'cancelled', attempts: 1 });
    await sweep(deleteOldDeliveries);
    const standing = await recordAttempt(db, {
      deliveryId: id,
      number: 2,
      sentAt: new Date(),
      outcome: { kind: 'connection_error', reason: 'connection refused', durationMs: 1 },
      verdict: { state: 'failed', failureDetail: 'x', nextAttemptAt: null, disablesSubscription: false },
    });
    expect(standing).toBeUndefined();
    expect(await countRecords(db)).toMatchObject({ deliveries: 0, attempts: 0 });
  });
});

describe('J12: events', () => {
  const event = async (daysOld: number, dispatched: boolean, topic = 'a.b'): Promise<string> => {
    const id = randomUUID();
    const at = new Date(Date.now() - daysOld * DAY_MS);
    await sql`
      insert into events (id, topic, payload, created_at, dispatched_at)
      values (${id}, ${topic}, '{}', ${at}, ${dispatched ? at : null})
    `.execute(database.db);
    return id;
  };

  test('J12: that are dispatched, old, and have no deliveries go; those of the system too', async () => {
    const stay = [await event(29, true), await event(400, false), await event(29, true, 'system.webhook.health')];
    await event(31, true);
    await event(31, true, 'system.webhook.health');
    expect(await sweep(deleteOldEvents)).toEqual([2]);
    expect(await ids('events')).toEqual(stay.sort());
  });

  test('J12: that still have a delivery stay, and go when it has gone', async () => {
    const { db } = database;
    await insertOld(db, { count: 3, daysOld: 31, state: 'delivered' });
    await insertOld(db, { count: 2, daysOld: 31, state: 'pending' });
    expect(await sweep(deleteOldEvents, 2)).toEqual([0, 0, 0]);
    await sweep(deleteOldDeliveries);
    expect(await sweep(deleteOldEvents, 2)).toEqual([2, 1, 0]);
    expect(await countRecords(db)).toMatchObject({ deliveries: 2, events: 2 });
  });

  test('J12: that a worker is still to read for jobs stay until it has', async () => {
    const { db } = database;
    const id = await event(31, true, 'gitlab.push');
    await sql`insert into job_events (event_id) values (${id})`.execute(db);
    expect(await sweep(deleteOldEvents)).toEqual([0]);
    await sql`delete from job_events`.execute(db);
    expect(await sweep(deleteOldEvents)).toEqual([1]);
  });

  test('J12: one that is sent again afterwards is a new one', async () => {
    const { db } = database;
    const sent = () => insertEvent(db, { id: randomUUID(), topic: 'a.b', payload: '{}', dedupeKey: 'once' });
    const { id } = await sent();
    expect(await sent()).toEqual({ id, duplicate: true });
    await sql`update events set dispatched_at = now(), created_at = now() - interval '31 days'`.execute(db);
    await sweep(deleteOldEvents);
    expect(await sent()).toMatchObject({ duplicate: false });
  });
});

describe('J12: what a sweep costs', () => {
  interface Reads {
    table: string;
    read: number;
  }

  /** The rows of tables, and the entries of indexes, that were read in this transaction. */
  const readsOf = async (db: Database): Promise<Record<string, number>> => {
    const { rows } = await sql<Reads>`
      select relname as table, (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read
      from pg_stat_xact_user_tables where relname in ('deliveries', 'attempts', 'events')
    `.execute(db);
    return Object.fromEntries(rows.map(({ table, read }) => [table, read]));
  };

  test('J12: with 100,000 young deliveries and 100 old ones it reads those 100, and their events', async () => {
    // With statistics and without, not with those of some moment in between, nor of what other tests had there.
    const own = await cloneDatabase();
    const { db } = own;
    await sql`alter table deliveries set (autovacuum_enabled = false)`.execute(db);
    await insertOld(db, { count: 90_000, daysOld: 20, state: 'delivered' });
    await insertOld(db, { count: 10_000, daysOld: 20, state: 'delivered', attempts: 1 });
    await insertOld(db, { count: 1_000, daysOld: 40, state: 'pending' });
    await insertOld(db, { count: 100, daysOld: 31, state: 'delivered', attempts: 2 });
    for (const analyzed of [false, true]) {
      if (analyzed) await sql`analyze`.execute(db);
      const undone = new Error('not to be kept');
      const sweeping = db.transaction().execute(async (transaction) => {
        const before = await readsOf(transaction);
        expect(await sweep(deleteOldDeliveries, 500, transaction)).toEqual([100]);
        const between = await readsOf(transaction);
        expect(between['deliveries']! - before['deliveries']!).toBeLessThanOrEqual(3 * 100); // found, locked, deleted
        expect(between['attempts']! - before['attempts']!).toBeLessThanOrEqual(200);
        expect(between['events']! - before['events']!).toBe(0);
        throw undone;
      });
      await expect(sweeping).rejects.toBe(undone);
    }
    await sweep(deleteOldDeliveries, 500, db);
    await db.transaction().execute(async (transaction) => {
      const before = await readsOf(transaction);
      expect(await sweep(deleteOldEvents, 500, transaction)).toEqual([0, 0, 100]);
      const after = await readsOf(transaction);
      // Those of deliveries that are still pending are looked at: the events, and one delivery of each.
      expect(after['events']! - before['events']!).toBeLessThanOrEqual(3 * 1_100);
      expect(after['deliveries']! - before['deliveries']!).toBeLessThanOrEqual(2 * 1_100);
    });
    await own.drop();
  });
});

test('J12: sweeps at once, beside deliveries that are being written, lose nothing and delete each once', async () => {
  const { db } = database;
  await insertOld(db, { count: 600, daysOld: 31, state: 'delivered', attempts: 2 });
  const written: Promise<{ deliveryId: string }>[] = [];
  const swept = new AbortController();
  const writing = (async () => {
    while (!swept.signal.aborted) {
      written.push(insertPendingDelivery(db, 'https://example.com'));
      await Promise.all(written);
    }
  })();
  const deleted = await Promise.all([1, 2, 3].map(() => sweep(deleteOldDeliveries, 20)));
  await sweep(deleteOldEvents, 20);
  swept.abort();
  await writing;
  expect(deleted.flat().reduce((sum, one) => sum + one, 0)).toBe(600);
  const young = (await Promise.all(written)).map(({ deliveryId }) => deliveryId);
  expect(await ids('deliveries')).toEqual(young.sort());
  expect(await countRecords(db)).toEqual({ deliveries: young.length, attempts: 0, events: young.length });
});
