import { randomUUID } from 'node:crypto';
import { type Insertable, sql, type Updateable } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  admitDeliveries,
  type AdmissionLimits,
  holdDelivery,
  readmitLater,
  takeStrays,
} from '../../src/database/admission.ts';
import { nominateProbe } from '../../src/database/circuit-breaker.ts';
import { CLOSED_BREAKER, deleteSubscription, updateSubscription } from '../../src/database/subscriptions.ts';
import { endDeliveriesOf, reopenDelivery } from '../../src/database/deliveries.ts';
import type { Database } from '../../src/database/connection.ts';
import type { DeliveryTable, SubscriptionTable } from '../../src/database/tables.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { deliveryRow, subscriptionRow } from '../support/records.ts';
import { insertActiveSubscription, insertWaitingDeliveries, inTwoTransactions } from '../support/waiting-deliveries.ts';

const MINUTE = 60_000;
const LIMITS: AdmissionLimits = {
  batch: 60,
  inFlight: 50,
  inFlightOnTrial: 4,
  probeLeaseMs: 5 * MINUTE,
  express: { batches: 3, batchSize: 10, inFlight: 100, inFlightOfAll: 100_000, gatherMs: 0, backlog: 20 },
};

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await sql`truncate events, subscriptions cascade`.execute(database.db);
});

const ago = (ms: number) => new Date(Date.now() - ms);
const later = (ms: number) => new Date(Date.now() + ms);

const subscribe = (books: Updateable<SubscriptionTable> = {}) => insertActiveSubscription(database.db, books);

const TRIPPED = { state: 'tripped', consecutive_failures: 5, tripped_at: ago(5 * MINUTE) } as const;

const deliver = (subscriptionId: string, count: number, values?: Partial<Insertable<DeliveryTable>>) =>
  insertWaitingDeliveries(database.db, subscriptionId, count, values);

async function admit(limits: Partial<AdmissionLimits> = {}, db: Database = database.db) {
  const { admitted, crowded } = await admitDeliveries(db, { ...LIMITS, ...limits });
  return { ids: admitted.map(({ id }) => id), of: admitted.map((one) => one.subscriptionId), crowded, admitted };
}

const count = (all: string[], one: string) => all.filter((each) => each === one).length;

describe('admission', () => {
  test('gives all that a workflow is started with, and marks the delivery as told', async () => {
    const { db } = database;
    const subscriptionId = await subscribe();
    const [id] = await deliver(subscriptionId, 1, { attempt_count: 3 });
    const { name, url } = await subscriptionRow(db, subscriptionId);
    expect(await admitDeliveries(db, LIMITS)).toEqual({
      admitted: [{ id, topic: 'a.b', subscriptionId, subscription: name, url, attemptCount: 3 }],
      batches: [],
      crowded: false,
    });
    expect(await deliveryRow(db, id!)).toMatchObject({ started_at: expect.any(Date) as Date, carrier: id });
    expect(await admitDeliveries(db, LIMITS)).toEqual({ admitted: [], batches: [], crowded: false });
  });

  test('takes nothing that is over, or was told already', async () => {
    const subscriptionId = await subscribe();
    for (const state of ['delivered', 'failed', 'cancelled'] as const) await deliver(subscriptionId, 1, { state });
    await deliver(subscriptionId, 1, { started_at: new Date() });
    await deliver(subscriptionId, 1, { started_at: new Date(), next_attempt_at: later(MINUTE) });
    expect(await admit()).toMatchObject({ ids: [], crowded: false });
  });

  test('takes the oldest first', async () => {
    const ids = await deliver(await subscribe(), 10);
    expect((await admit({ batch: 4 })).ids.toSorted()).toEqual(ids.slice(0, 4).toSorted());
    expect((await admit({ batch: 4 })).ids.toSorted()).toEqual(ids.slice(4, 8).toSorted());
  });

  test('also looks after what waits for a subscription that is paused: its attempt ends it', async () => {
    const ids = await deliver(await subscribe({ state: 'paused' }), 1);
    expect((await admit()).ids).toEqual(ids);
  });
});

describe('fair shares', () => {
  test('E12: one that has a thousand waiting does not keep another from the very next batch', async () => {
    const [busy, quiet] = [await subscribe(), await subscribe()];
    await deliver(busy, 1_000);
    const [only] = await deliver(quiet, 1);
    const { ids, of } = await admit();
    expect(ids).toContain(only);
    expect(count(of, busy)).toBe(LIMITS.batch / 2);
  });

  test('E12: those that wait share a batch in equal parts', async () => {
    const subscriptions = await Promise.all([subscribe(), subscribe(), subscribe()]);
    for (const id of subscriptions) await deliver(id, 40);
    const { of } = await admit();
    expect(subscriptions.map((id) => count(of, id))).toEqual([20, 20, 20]);
  });

  test('E12: when more wait than a batch has room for, each gets in before anyone has a second turn for long', async () => {
    const subscriptions: string[] = [];
    for (let i = 0; i < 12; i++) subscriptions.push(await subscribe());
    for (const id of subscriptions) await deliver(id, 30);
    const seen = new Set<string>();
    let batches = 0;
    while (seen.size < subscriptions.length) {
      const { of } = await admit({ batch: 5 });
      expect(of.length).toBe(5);
      expect(new Set(of).size).toBe(5);
      for (const id of of) seen.add(id);
      expect(++batches).toBeLessThan(100); // it is drawn by lot
    }
  });

  test('E12: what is left of places that some cannot use is used with the next batch', async () => {
    const [one, other] = [await subscribe(), await subscribe()];
    await deliver(one, 3);
    await deliver(other, 100);
    const first = await admit({ batch: 20 });
    expect([count(first.of, one), count(first.of, other)]).toEqual([3, 10]);
    const second = await admit({ batch: 20 });
    expect(count(second.of, other)).toBe(20);
  });
});

describe('places', () => {
  test('E12: a subscription has no more than so many in flight, and gets places back as attempts end', async () => {
    const { db } = database;
    const subscriptionId = await subscribe();
    await deliver(subscriptionId, 20);
    const first = await admit({ inFlight: 6 });
    expect(first).toMatchObject({ ids: { length: 6 }, crowded: false });
    expect(await admit({ inFlight: 6 })).toMatchObject({ ids: [], crowded: true });

    const [delivered, asleep, held] = first.ids;
    await db.updateTable('deliveries').set({ state: 'delivered' }).where('id', '=', delivered!).execute();
    await db
      .updateTable('deliveries')
      .set({ next_attempt_at: later(MINUTE) })
      .where('id', '=', asleep!)
      .execute();
    expect((await admit({ inFlight: 6 })).ids.length).toBe(2);
    await holdDelivery(db, held!);
    expect((await admit({ inFlight: 6 })).ids).toEqual([held]); // the oldest of those that wait
  });

  test.each<[string, number, Updateable<SubscriptionTable>]>([
    ['that never had a success', 4, { last_success_at: null }],
    ['whose last attempt failed', 4, { consecutive_failures: 1 }],
    ['that is well', 50, {}],
  ])('E12: one %s may have %i', async (_what, most, books) => {
    await deliver(await subscribe(books), 60);
    expect((await admit()).ids.length).toBe(most);
  });

  test('E12: no place of one is counted for another, and one without a place does not keep others', async () => {
    const [full, free] = [await subscribe(), await subscribe()];
    await deliver(full, 10, { started_at: new Date() });
    await deliver(full, 10);
    const ids = await deliver(free, 10);
    const first = await admit({ inFlight: 10 });
    expect(first).toMatchObject({ crowded: true, of: { length: 10 } });
    expect(first.ids.toSorted()).toEqual(ids.toSorted());
  });
});

describe('several relays', () => {
  test('take different deliveries, and neither waits for the other', async () => {
    await deliver(await subscribe(), 10);
    await inTwoTransactions(database.db, async (one, other) => {
      const mine = await admit({ batch: 4 }, one);
      const theirs = await admit({ batch: 4 }, other);
      expect(mine.ids.length).toBe(4);
      expect(theirs.ids.length).toBe(4);
      expect(new Set([...mine.ids, ...theirs.ids]).size).toBe(8);
      await other.commit().execute();
    });
    // What one of them took and did not come to tell is there for the next.
    expect((await admit()).ids.length).toBe(6);
  });

  test('at once admit every delivery once', async () => {
    const subscriptions = await Promise.all([subscribe(), subscribe(), subscribe({ last_success_at: null })]);
    for (const id of subscriptions) await deliver(id, 40);
    const all: string[] = [];
    const relay = async (): Promise<void> => {
      for (;;) {
        const { ids } = await admit({ batch: 7, inFlight: 1_000, inFlightOnTrial: 1_000 });
        if (ids.length === 0) return;
        all.push(...ids);
      }
    };
    await Promise.all(Array.from({ length: 6 }, relay));
    for (let rest = await admit(); rest.ids.length > 0; rest = await admit()) all.push(...rest.ids); // locked just then
    expect(all.length).toBe(120);
    expect(new Set(all).size).toBe(120);
  });
});

describe('a tripped subscription', () => {
  const probeOf = async (id: string) => {
    const { probe_delivery_id, next_probe_at } = await subscriptionRow(database.db, id);
    return { delivery: probe_delivery_id, inMs: next_probe_at === null ? null : next_probe_at.getTime() - Date.now() };
  };

  test('E10: holds back what waits until a probe is due; then one goes out, and none until its lease is over', async () => {
    const { db } = database;
    const subscriptionId = await subscribe({ ...TRIPPED, next_probe_at: later(MINUTE) });
    const [oldest] = await deliver(subscriptionId, 10);
    expect(await admit()).toMatchObject({ ids: [], crowded: false });

    await db
      .updateTable('subscriptions')
      .set({ next_probe_at: ago(1) })
      .execute();
    expect((await admit()).ids).toEqual([oldest]);
    const probe = await probeOf(subscriptionId);
    expect(probe.delivery).toBe(oldest);
    expect(probe.inMs).toBeGreaterThan(4 * MINUTE);
    expect(probe.inMs).toBeLessThanOrEqual(5 * MINUTE);
    expect(await admit()).toMatchObject({ ids: [], crowded: false });

    // Whoever was to make that probe is dead: another one goes out.
    await db
      .updateTable('subscriptions')
      .set({ next_probe_at: ago(1) })
      .execute();
    expect((await admit()).ids.length).toBe(1);
    expect((await probeOf(subscriptionId)).delivery).not.toBe(oldest);
  });

  test('E10: whose next probe has no time gets one at once', async () => {
    const subscriptionId = await subscribe({ ...TRIPPED, next_probe_at: null });
    const [oldest] = await deliver(subscriptionId, 3);
    expect((await admit()).ids).toEqual([oldest]);
  });

  test('E10: keeps no other from being served', async () => {
    const tripped = await subscribe({ ...TRIPPED, next_probe_at: later(MINUTE) });
    await deliver(tripped, 500);
    const ids = await deliver(await subscribe(), 60);
    const { ids: admitted } = await admit({ inFlight: 100 });
    expect(admitted.toSorted()).toEqual(ids.toSorted());
  });

  test('E10: of several relays that find a probe due at once, one sends one', async () => {
    const subscriptionId = await subscribe({ ...TRIPPED, next_probe_at: ago(1) });
    await deliver(subscriptionId, 50);
    const all = await Promise.all(Array.from({ length: 8 }, () => admit()));
    const ids = all.flatMap((one) => one.ids);
    expect(ids.length).toBe(1);
    expect((await probeOf(subscriptionId)).delivery).toBe(ids[0]);
  });

  test('E10: a relay that finds another about to send the probe does not wait for it, nor send a second one', async () => {
    await deliver(await subscribe({ ...TRIPPED, next_probe_at: ago(1) }), 5);
    await inTwoTransactions(database.db, async (one, other) => {
      expect((await admit({}, one)).ids.length).toBe(1);
      expect(await admit({}, other)).toMatchObject({ ids: [] });
      await one.commit().execute();
      expect(await admit({}, other)).toMatchObject({ ids: [] });
    });
  });

  test('E10: lets out what was asked for by hand, and that alone, at once and before what is older', async () => {
    const { db } = database;
    const subscriptionId = await subscribe({ ...TRIPPED, next_probe_at: later(MINUTE) });
    const ids = await deliver(subscriptionId, 5);
    await nominateProbe(db, ids[3]!);
    expect((await admit()).ids).toEqual([ids[3]]);
    expect(await admit()).toMatchObject({ ids: [] });
    expect((await probeOf(subscriptionId)).delivery).toBe(ids[3]);
  });

  test('E10: lets no other out while one that was asked for by hand is on its way by itself', async () => {
    const { db } = database;
    const subscriptionId = await subscribe({ ...TRIPPED, next_probe_at: ago(1) });
    const [asleep] = await deliver(subscriptionId, 1, { started_at: ago(MINUTE), next_attempt_at: later(MINUTE) });
    await deliver(subscriptionId, 5);
    await nominateProbe(db, asleep!); // whoever does this wakes its workflow, which claims the probe
    expect(await admit()).toMatchObject({ ids: [] });
    expect((await probeOf(subscriptionId)).delivery).toBe(asleep);
  });

  test('E10: lets a probe out again at once that found no room on its way', async () => {
    const { db } = database;
    const [oldest] = await deliver(await subscribe({ ...TRIPPED, next_probe_at: ago(1) }), 5);
    expect((await admit()).ids).toEqual([oldest]);
    await holdDelivery(db, oldest!);
    expect((await admit()).ids).toEqual([oldest]);
    expect(await admit()).toMatchObject({ ids: [] });
  });

  test('E10: does not wait for a nominee that is over', async () => {
    const { db } = database;
    const subscriptionId = await subscribe({ ...TRIPPED, next_probe_at: later(MINUTE) });
    const ids = await deliver(subscriptionId, 3);
    await nominateProbe(db, ids[2]!);
    await db.updateTable('deliveries').set({ state: 'cancelled' }).where('id', '=', ids[2]!).execute();
    await db
      .updateTable('subscriptions')
      .set({ next_probe_at: ago(1) })
      .execute(); // at the latest
    expect((await admit()).ids).toEqual([ids[0]]);
  });

  test.each<[string, (db: TestDatabase['db'], name: string, id: string) => Promise<unknown>]>([
    [
      'paused',
      (db, name, id) =>
        db.transaction().execute(async (transaction) => {
          await updateSubscription(transaction, name, { state: 'paused' });
          await sql`select pg_sleep(0.05)`.execute(transaction);
          await endDeliveriesOf(transaction, id);
        }),
    ],
    ['deleted', (db, name) => deleteSubscription(db, name)],
  ])('E10: that is %s just when a probe is due is no reason for anyone to fail', async (_what, change) => {
    const { db } = database;
    for (let i = 0; i < 5; i++) {
      const id = await subscribe({ ...TRIPPED, next_probe_at: ago(1) });
      await deliver(id, 20);
      const admitting = Array.from({ length: 6 }, async (_, n) => {
        await sql`select pg_sleep(${n * 0.01})`.execute(db);
        return admit();
      });
      await Promise.all([change(db, `s ${id}`, id), ...admitting]);
    }
  });

  test('E10: is not admitted while somebody is about to change it; nobody waits for whom', async () => {
    const id = await subscribe({ ...TRIPPED, next_probe_at: ago(1) });
    const [oldest] = await deliver(id, 2);
    await inTwoTransactions(database.db, async (one, other) => {
      await updateSubscription(one, `s ${id}`, { url: 'https://example.com/else' });
      expect(await admit({}, other)).toMatchObject({ ids: [] });
    });
    expect((await admit()).ids).toEqual([oldest]);
  });
});

describe('lanes', () => {
  /** What each subscription got, by lane: batches as lists of its deliveries. */
  async function admitBoth(limits: Partial<AdmissionLimits> = {}, db: Database = database.db) {
    const { admitted, batches, crowded } = await admitDeliveries(db, { ...LIMITS, ...limits });
    const together = batches.flatMap(({ deliveries }) => deliveries);
    return {
      alone: admitted.map(({ id }) => id),
      aloneOf: admitted.map((one) => one.subscriptionId),
      together: together.map(({ id }) => id),
      togetherOf: together.map((one) => one.subscriptionId),
      batches,
      sizes: batches.map(({ deliveries }) => deliveries.length),
      crowded,
    };
  }

  /** The express lane with no bounds that matter. */
  const WIDE = { batches: 50, batchSize: 10, inFlight: 10_000, inFlightOfAll: 100_000, gatherMs: 0, backlog: 20 };

  test('E14: in lane express they come in batches, each with what its workflow is started with', async () => {
    const { db } = database;
    const subscriptionId = await subscribe({ lane: 'express' });
    const ids = await deliver(subscriptionId, 2);
    const { name } = await subscriptionRow(db, subscriptionId);
    const { alone, batches, crowded } = await admitBoth();
    expect([alone, crowded]).toEqual([[], false]);
    expect(batches).toEqual([{ id: expect.any(String) as string, deliveries: expect.any(Array) as unknown[] }]);
    expect(batches[0]!.deliveries.toSorted((a, b) => ids.indexOf(a.id) - ids.indexOf(b.id))).toEqual(
      ids.map((id) => ({ id, subscriptionId, subscription: name })),
    );
    for (const id of ids)
      expect(await deliveryRow(db, id)).toMatchObject({
        started_at: expect.any(Date) as Date,
        carrier: batches[0]!.id,
      });
    expect(await admitBoth()).toMatchObject({ alone: [], batches: [] });
  });

  test.each([
    ['workflow', 1_000],
    ['auto', 20],
  ] as const)('E14: in lane %s, with %i waiting, each has a workflow of its own', async (lane, waiting) => {
    await deliver(await subscribe({ lane }), waiting);
    const { alone, together } = await admitBoth();
    expect([alone.length, together.length]).toEqual([Math.min(waiting, LIMITS.inFlight), 0]);
  });

  test('E14: in lane auto they go express while more wait than the backlog, and then no more', async () => {
    const subscriptionId = await subscribe({ lane: 'auto' });
    await deliver(subscriptionId, 45);
    const lanes: string[] = [];
    for (let more = await admitBoth({ batch: 10 }); ; more = await admitBoth({ batch: 10 })) {
      if (more.alone.length + more.together.length === 0) break;
      expect(Math.min(more.alone.length, more.together.length)).toBe(0);
      lanes.push(more.together.length > 0 ? `express ${more.together.length}` : `workflow ${more.alone.length}`);
    }
    expect(lanes).toEqual(['express 30', 'workflow 10', 'workflow 5']);
    await deliver(subscriptionId, 21);
    expect((await admitBoth()).together.length).toBe(21);
  });

  test('E14: with a backlog of 0, lane auto is express', async () => {
    await deliver(await subscribe({ lane: 'auto' }), 1);
    const { together } = await admitBoth({ express: { ...LIMITS.express, backlog: 0 } });
    expect(together.length).toBe(1);
  });

  test('E14: what is not waiting is no backlog: given out, asleep or over', async () => {
    const subscriptionId = await subscribe({ lane: 'auto' });
    await deliver(subscriptionId, 10, { started_at: new Date() });
    await deliver(subscriptionId, 10, { started_at: new Date(), next_attempt_at: later(MINUTE) });
    await deliver(subscriptionId, 10, { state: 'delivered' });
    const ids = await deliver(subscriptionId, 20);
    const { alone, together } = await admitBoth();
    expect([alone.toSorted(), together]).toEqual([ids.toSorted(), []]);
  });

  test('E14: a batch has so many at most, and is filled before the next one; there are so many at once', async () => {
    await deliver(await subscribe({ lane: 'express' }), 37);
    expect((await admitBoth()).sizes.toSorted()).toEqual([10, 10, 10]);
    expect((await admitBoth()).sizes).toEqual([7]);
  });

  test('E12, E14: batches are filled by subscription: who does not answer is in few of them', async () => {
    const subscriptions: string[] = [];
    for (let i = 0; i < 6; i++) subscriptions.push(await subscribe({ lane: 'express' }));
    for (const id of subscriptions) await deliver(id, 5);
    const { batches, sizes } = await admitBoth();
    expect(sizes.toSorted()).toEqual([10, 10, 10]);
    for (const id of subscriptions) {
      const holding = batches.filter(({ deliveries }) => deliveries.some((one) => one.subscriptionId === id));
      expect(holding.length).toBe(1);
    }
  });

  test('E12, E14: a subscription has no more than so many in flight there, and gets places back', async () => {
    const { db } = database;
    await deliver(await subscribe({ lane: 'express' }), 60);
    const express = { ...WIDE, inFlight: 25 };
    const first = await admitBoth({ express });
    expect([first.together.length, first.crowded]).toEqual([25, false]);
    expect(await admitBoth({ express })).toMatchObject({ together: [], alone: [], crowded: true });
    const endSome = (from: number, to: number) =>
      db
        .updateTable('deliveries')
        .set({ state: 'delivered' })
        .where('id', 'in', first.together.slice(from, to))
        .execute();
    // A whole batch or none, while others are under way.
    const least = express.batchSize;
    await endSome(0, least - 1);
    expect(await admitBoth({ express })).toMatchObject({ together: [], crowded: true });
    await endSome(least - 1, least);
    expect((await admitBoth({ express })).together.length).toBe(least);
  });

  test('E14: all together have no more than so many in flight', async () => {
    const express = { ...WIDE, inFlightOfAll: 30 };
    const [one, other] = [await subscribe({ lane: 'express' }), await subscribe({ lane: 'express' })];
    await deliver(one, 60, { started_at: new Date() });
    await deliver(one, 10);
    await deliver(other, 10);
    expect(await admitBoth({ express })).toMatchObject({ together: [], crowded: true });
    const workflows = await subscribe();
    await deliver(workflows, 10);
    expect((await admitBoth({ express })).alone.length).toBe(10); // who is in the other lane is not concerned
  });

  test('E14: few that come while a batch is under way wait a moment for more, and no longer', async () => {
    const express = { ...WIDE, batchSize: 10, gatherMs: 30_000 };
    const subscriptionId = await subscribe({ lane: 'express' });
    await deliver(subscriptionId, 1, { date_created: new Date() });
    expect((await admitBoth({ express })).together.length).toBe(1); // nothing is under way
    await deliver(subscriptionId, 1, { date_created: new Date() });
    expect((await admitBoth({ express })).together.length).toBe(1); // less than a batch is
    await deliver(subscriptionId, 8, { date_created: new Date() });
    expect((await admitBoth({ express })).together.length).toBe(8);
    await deliver(subscriptionId, 9, { date_created: new Date() });
    expect(await admitBoth({ express })).toMatchObject({ together: [], crowded: true });
    await deliver(subscriptionId, 1, { date_created: new Date() });
    expect((await admitBoth({ express })).together.length).toBe(10);
    await deliver(subscriptionId, 1, { date_created: ago(31_000) });
    expect((await admitBoth({ express })).together.length).toBe(1);
  });

  test.each<[string, Updateable<SubscriptionTable>]>([
    ['that never had a success', { last_success_at: null }],
    ['whose last attempt failed', { consecutive_failures: 1 }],
  ])('E12, E14: one %s may have as few in flight as in the other lane', async (_what, books) => {
    await deliver(await subscribe({ lane: 'express', ...books }), 60);
    const { together, alone } = await admitBoth();
    expect([together.length, alone.length]).toEqual([LIMITS.inFlightOnTrial, 0]);
    expect(await admitBoth()).toMatchObject({ together: [], crowded: true });
  });

  test.each(['express', 'auto'] as const)('E10, E14: in lane %s, a probe has a workflow of its own', async (lane) => {
    const { db } = database;
    const subscriptionId = await subscribe({ lane, ...TRIPPED, next_probe_at: ago(1) });
    const [oldest] = await deliver(subscriptionId, 100);
    expect(await admitBoth()).toMatchObject({ alone: [oldest], batches: [] });
    expect(await deliveryRow(db, oldest!)).toMatchObject({ carrier: oldest });
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ probe_delivery_id: oldest });
    expect(await admitBoth()).toMatchObject({ alone: [], batches: [] });
    // The breaker is closed again: what waits goes by batch, the probe, which has a workflow, never more.
    await db
      .updateTable('subscriptions')
      .set({ state: 'active', consecutive_failures: 0, ...CLOSED_BREAKER })
      .where('id', '=', subscriptionId)
      .execute();
    await holdDelivery(db, oldest!);
    const released = await admitBoth({ express: WIDE });
    expect([released.alone, released.together.length]).toEqual([[oldest], 99]);
  });

  test('E14 D8: those of a paused one go by workflows, which end them', async () => {
    const ids = await deliver(await subscribe({ lane: 'express', state: 'paused' }), 3);
    const { alone, together } = await admitBoth();
    expect([alone.toSorted(), together]).toEqual([ids.toSorted(), []]);
  });

  test('E14: one that has a workflow of its own, held back, is told there; one of an earlier batch goes by another', async () => {
    const { db } = database;
    const subscriptionId = await subscribe({ lane: 'express' });
    const [own, fresh, before] = await deliver(subscriptionId, 3);
    await db.updateTable('deliveries').set({ carrier: own }).where('id', '=', own!).execute();
    const earlier = randomUUID();
    await db.updateTable('deliveries').set({ carrier: earlier }).where('id', '=', before!).execute();
    const { alone, together, batches } = await admitBoth();
    expect(alone).toEqual([own]);
    expect(together.toSorted()).toEqual([fresh, before].toSorted());
    expect(batches.length).toBe(1);
    expect(batches[0]!.id).not.toBe(earlier);
    expect(await deliveryRow(db, before!)).toMatchObject({ carrier: batches[0]!.id });
  });

  test('E14: one that is queued again goes by batch, unless a workflow may still have it in hand', async () => {
    const { db } = database;
    const subscriptionId = await subscribe({ lane: 'express' });
    const over = { attempt_count: 36, state: 'failed', started_at: ago(MINUTE) } as const;
    const [ended] = await deliver(subscriptionId, 1, over); // by an attempt
    const [stopped] = await deliver(subscriptionId, 1, { ...over, state: 'cancelled' }); // while its workflow slept, or attempted
    const [sent] = await deliver(subscriptionId, 1, { ...over, state: 'cancelled', carrier: randomUUID() }); // by a batch
    await db.updateTable('deliveries').set({ carrier: stopped! }).where('id', '=', stopped!).execute();
    for (const id of [ended, stopped, sent]) expect(await reopenDelivery(db, id!, true)).toBe(true);
    expect(await admitBoth()).toMatchObject({ alone: [stopped], together: [ended] });
    expect((await takeStrays(db, 1_000, 10)).map(({ id }) => id)).toEqual([sent]); // should the batch be over
  });

  test('E14: a lane that is changed applies to what waits, from the next look on', async () => {
    const { db } = database;
    const subscriptionId = await subscribe();
    await deliver(subscriptionId, 30);
    const seen: [number, number][] = [];
    for (const lane of ['workflow', 'express', 'auto', 'express'] as const) {
      await db.updateTable('subscriptions').set({ lane }).where('id', '=', subscriptionId).execute();
      const { alone, together } = await admitBoth({
        batch: 5,
        express: { ...LIMITS.express, batches: 1, batchSize: 7 },
      });
      seen.push([alone.length, together.length]);
    }
    expect(seen).toEqual([
      [5, 0],
      [0, 7],
      [5, 0],
      [0, 7],
    ]);
  });

  test('E12, E14: lanes do not take from each other, and within each all have equal parts', async () => {
    const workflow = [await subscribe(), await subscribe(), await subscribe()];
    const express = [await subscribe({ lane: 'express' }), await subscribe({ lane: 'auto' })];
    for (const id of [...workflow, ...express]) await deliver(id, 50);
    const { aloneOf, togetherOf } = await admitBoth();
    expect(workflow.map((id) => count(aloneOf, id))).toEqual([20, 20, 20]);
    expect(express.map((id) => count(togetherOf, id))).toEqual([15, 15]);
    expect([aloneOf.length, togetherOf.length]).toEqual([60, 30]);
  });

  test('E12, E14: one that has a thousand waiting keeps nobody from the very next batch', async () => {
    const [busy, quiet] = [await subscribe({ lane: 'express' }), await subscribe({ lane: 'express' })];
    await deliver(busy, 1_000);
    const [only] = await deliver(quiet, 1);
    expect((await admitBoth()).together).toContain(only);
  });

  test('E12, E14: when more wait than have a turn at once, each gets in before anyone has a second turn for long', async () => {
    const subscriptions: string[] = [];
    for (let i = 0; i < 12; i++) subscriptions.push(await subscribe({ lane: 'express' }));
    for (const id of subscriptions) await deliver(id, 30);
    const seen = new Set<string>();
    let looks = 0;
    while (seen.size < subscriptions.length) {
      const { togetherOf } = await admitBoth({ batch: 5 });
      expect(new Set(togetherOf).size).toBe(5);
      for (const id of togetherOf) seen.add(id);
      expect(++looks).toBeLessThan(100); // it is drawn by lot
    }
  });

  test('E2, E14: several relays at once take every delivery once, in whichever lane, while lanes change', async () => {
    const { db } = database;
    const subscriptions: string[] = [];
    for (const lane of ['workflow', 'express', 'auto'] as const) subscriptions.push(await subscribe({ lane }));
    for (const id of subscriptions) await deliver(id, 60);
    const all: string[] = [];
    const limits = { batch: 7, inFlight: 1_000, express: { ...WIDE, batches: 2, batchSize: 5 } };
    const relay = async (): Promise<void> => {
      for (;;) {
        const { alone, together } = await admitBoth(limits);
        if (alone.length + together.length === 0) return;
        all.push(...alone, ...together);
      }
    };
    const change = async (): Promise<void> => {
      for (let n = 0; n < 12; n++) {
        const lane = (['workflow', 'express', 'auto'] as const)[n % 3]!;
        await db
          .updateTable('subscriptions')
          .set({ lane })
          .where('id', '=', subscriptions[n % 2]!)
          .execute();
      }
    };
    await Promise.all([...Array.from({ length: 5 }, relay), change()]);
    await relay(); // what others had locked just then
    expect(all.length).toBe(180);
    expect(new Set(all).size).toBe(180);
    for (const id of all) {
      expect(await deliveryRow(db, id)).toMatchObject({
        started_at: expect.any(Date) as Date,
        carrier: expect.any(String) as string,
      });
    }
  });

  test('E2, E14: what a relay took and did not come to tell is there for the next, in whichever lane', async () => {
    const { db } = database;
    const [express, workflow] = [await subscribe({ lane: 'express' }), await subscribe()];
    const ids = [...(await deliver(express, 3)), ...(await deliver(workflow, 3))];
    await inTwoTransactions(database.db, async (one, other) => {
      expect(await admitBoth({}, one)).toMatchObject({ alone: { length: 3 }, together: { length: 3 } });
      expect(await admitBoth({}, other)).toMatchObject({ alone: [], together: [] });
    });
    const { together } = await admitBoth();
    await readmitLater(db, together);
    const again = await admitBoth();
    expect(again.together.toSorted()).toEqual(ids.slice(0, 3).toSorted());
  });

  test('E14: strays tell whether they were to go out with a batch', async () => {
    const { db } = database;
    const subscriptionId = await subscribe({ lane: 'express' });
    const batch = randomUUID();
    const [carried] = await deliver(subscriptionId, 1, { started_at: ago(4 * MINUTE), carrier: batch });
    const [own] = await deliver(subscriptionId, 1, { started_at: ago(4 * MINUTE) });
    await db.updateTable('deliveries').set({ carrier: own }).where('id', '=', own!).execute();
    const [older] = await deliver(subscriptionId, 1, { started_at: ago(4 * MINUTE) }); // of before there were lanes
    const strays = await takeStrays(db, 3 * MINUTE, 10);
    expect(Object.fromEntries(strays.map(({ id, batch: of }) => [id, of]))).toEqual({
      [carried!]: batch,
      [own!]: null,
      [older!]: null,
    });
  });
});

describe('taking an admission back', () => {
  test('makes them wait again, but those that are over', async () => {
    const { db } = database;
    const ids = await deliver(await subscribe(), 3);
    await admit();
    await db.updateTable('deliveries').set({ state: 'delivered' }).where('id', '=', ids[0]!).execute();
    await readmitLater(db, ids);
    expect((await deliveryRow(db, ids[0]!)).started_at).not.toBeNull();
    expect((await admit()).ids.toSorted()).toEqual(ids.slice(1).toSorted());
  });
});

describe('holding a delivery', () => {
  test('makes it wait, whenever it was to be tried, and tells what was wrong with it last', async () => {
    const { db } = database;
    const subscriptionId = await subscribe();
    const values = { started_at: new Date(), next_attempt_at: later(MINUTE), failure_detail: 'Bad HTTP response: 500' };
    const [id] = await deliver(subscriptionId, 1, values);
    expect(await holdDelivery(db, id!)).toEqual({ failureDetail: 'Bad HTTP response: 500' });
    expect(await deliveryRow(db, id!)).toMatchObject({ state: 'pending', started_at: null, next_attempt_at: null });
    expect((await admit()).ids).toEqual([id]);
  });

  test.each(['delivered', 'failed', 'cancelled'] as const)('leaves one alone that is %s', async (state) => {
    const { db } = database;
    const [id] = await deliver(await subscribe(), 1, { state, started_at: new Date() });
    expect(await holdDelivery(db, id!)).toBeUndefined();
    expect((await deliveryRow(db, id!)).started_at).not.toBeNull();
  });
});

describe('strays', () => {
  test('are those told long ago that have not come to an attempt, each once in that time', async () => {
    const { db } = database;
    const subscriptionId = await subscribe();
    const [stray] = await deliver(subscriptionId, 1, { started_at: ago(4 * MINUTE), attempt_count: 2 });
    await deliver(subscriptionId, 1, { started_at: ago(2 * MINUTE) });
    await deliver(subscriptionId, 1, { started_at: ago(4 * MINUTE), next_attempt_at: later(MINUTE) });
    await deliver(subscriptionId, 1, { started_at: ago(4 * MINUTE), state: 'delivered' });
    await deliver(subscriptionId, 1);
    const { name, url } = await subscriptionRow(db, subscriptionId);
    expect(await takeStrays(db, 3 * MINUTE, 10)).toEqual([
      { id: stray, topic: 'a.b', subscriptionId, subscription: name, url, attemptCount: 2, batch: null },
    ]);
    expect(await takeStrays(db, 3 * MINUTE, 10)).toEqual([]);
  });

  test('are taken by one of several who look after them', async () => {
    const { db } = database;
    const ids = await deliver(await subscribe(), 20, { started_at: ago(4 * MINUTE) });
    const all = await Promise.all(Array.from({ length: 5 }, () => takeStrays(db, 3 * MINUTE, 100)));
    expect(all.flatMap((some) => some.map(({ id }) => id)).toSorted()).toEqual(ids.toSorted());
    await deliver(await subscribe(), 4, { started_at: ago(4 * MINUTE) });
    await inTwoTransactions(database.db, async (one, other) => {
      expect((await takeStrays(one, 3 * MINUTE, 3)).length).toBe(3);
      expect((await takeStrays(other, 3 * MINUTE, 3)).length).toBe(1);
    });
    expect((await takeStrays(db, 3 * MINUTE, 10)).length).toBe(4);
  });
});
