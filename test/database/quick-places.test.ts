import { randomUUID } from 'node:crypto';
import { type Insertable, sql, type Updateable } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { admitDeliveries, type AdmissionLimits } from '../../src/database/admission.ts';
import type { BatchPlaces } from '../../src/database/batch-seats.ts';
import type { Database } from '../../src/database/connection.ts';
import {
  dispatchEvents,
  type PlannedDelivery,
  type QuickPlaces,
  takeUndispatchedEvents,
} from '../../src/database/events.ts';
import type { DeliveryTable, SubscriptionTable } from '../../src/database/tables.ts';
import { untilBlocked } from '../support/batches.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { deliveryRow } from '../support/records.ts';
import {
  insertActiveSubscription,
  insertWaitingDeliveries,
  inTwoTransactions,
  planDelivery as plan,
} from '../support/waiting-deliveries.ts';

const MINUTE = 60_000;

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

/** One in the express lane that was at work until now, unless it is told otherwise. */
async function subscribe(books: Updateable<SubscriptionTable> = {}): Promise<string> {
  const id = await insertActiveSubscription(database.db, { lane: 'express', ...books });
  // The events that tell of it are no matter here.
  await sql`delete from events where topic = 'system.webhook.subscriptions_changed'`.execute(database.db);
  return id;
}

const deliver = (subscriptionId: string, count: number, values?: Partial<Insertable<DeliveryTable>>) =>
  insertWaitingDeliveries(database.db, subscriptionId, count, values);

/** Events that wait to be dispatched. */
async function publish(count: number): Promise<string[]> {
  const events = Array.from({ length: count }, () => ({ id: randomUUID(), topic: 'a.b', payload: '1' }));
  await database.db.insertInto('events').values(events).execute();
  return events.map(({ id }) => id);
}

/** So many places in each of some batches. */
const batches = (...places: number[]): BatchPlaces[] => places.map((each) => ({ batchId: randomUUID(), places: each }));
const carriers = (underWay: BatchPlaces[]) => underWay.flatMap(({ batchId, places }) => fill(places, batchId));
const fill = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

/** Bounds that are far away. */
const WIDE = { inFlight: 1_000, overtaken: 20 };

/** Dispatches a new event for each of these, in this order. @returns the deliveries' batches, in the same order */
async function dispatch(subscriptionIds: string[], places: QuickPlaces): Promise<(string | null | undefined)[]> {
  const { db } = database;
  const events = await publish(subscriptionIds.length);
  const planned = subscriptionIds.map((id, i) => plan(events[i]!, id));
  return batchesOf(planned, await dispatchEvents(db, events, planned, places));
}

/** Undefined for those that were not written. */
function batchesOf(planned: PlannedDelivery[], written: { id: string; batchId: string | null }[]) {
  const found = new Map(written.map(({ id, batchId }) => [id, batchId]));
  return planned.map(({ id }) => found.get(id));
}

const deliveries = () => database.db.selectFrom('deliveries').selectAll().execute();
const undispatched = async () => (await takeUndispatchedEvents(database.db, 1_000)).map(({ id }) => id);

describe('events that are dispatched while batches are under way', () => {
  test('E14: deliveries get places in their order, of each batch as many as it has, and the rest waits', async () => {
    const { db } = database;
    const [subscription, underWay] = [await subscribe(), batches(2, 1, 3)];
    const events = await publish(8);
    const planned = events.map((id) => plan(id, subscription));
    const written = await dispatchEvents(db, events, planned, { underWay, ...WIDE });
    const expected = [...carriers(underWay), null, null];
    expect(batchesOf(planned, written)).toEqual(expected);
    for (const [i, { id, eventId }] of planned.entries()) {
      expect(await deliveryRow(db, id)).toMatchObject({
        event_id: eventId,
        state: 'pending',
        attempt_count: 0,
        next_attempt_at: null,
        started_at: i < 6 ? (expect.any(Date) as Date) : null,
        carrier: expected[i],
      });
    }
    expect(await undispatched()).toEqual([]);
  });

  test.each([
    ['none at all', [], 0],
    ['one', [1], 1],
    ['as many as are needed', [2, 2], 4],
    ['more than are needed', [100, 100], 4],
    ['none in some of them', [0, 1, 0, 2, 0], 3],
  ])('E14: where there are %s, no more go out, and no fewer', async (_what, places, count) => {
    const [subscription, underWay] = [await subscribe(), batches(...places)];
    const of = await dispatch(fill(4, subscription), { underWay, ...WIDE });
    expect(of).toEqual([...carriers(underWay).slice(0, 4), ...fill(4 - count, null)]);
  });

  test('E14: whoever knows of no batches under way makes all of them wait', async () => {
    const { db } = database;
    const [subscription, events] = [await subscribe(), await publish(2)];
    const planned = events.map((id) => plan(id, subscription));
    expect(batchesOf(planned, await dispatchEvents(db, events, planned))).toEqual([null, null]);
    for (const row of await deliveries()) expect(row).toMatchObject({ started_at: null, carrier: null });
  });

  test.each<[string, Updateable<SubscriptionTable>]>([
    ['of lane workflow', { lane: 'workflow' }],
    ['of lane auto', { lane: 'auto' }],
    ['that is tripped', { state: 'tripped', consecutive_failures: 5, tripped_at: new Date() }],
    ['that was tripped, and is no failure any more', { state: 'tripped', tripped_at: new Date() }],
    ['whose last attempt failed', { consecutive_failures: 1 }],
    ['that never had a success', { last_success_at: null }],
  ])('E10, E12, E14: those of one %s wait, and take no place from others', async (_what, books) => {
    const [other, quick, underWay] = [await subscribe(books), await subscribe(), batches(2)];
    const of = await dispatch([other, quick, other, quick, other], { underWay, ...WIDE });
    const [batch] = carriers(underWay);
    expect(of).toEqual([null, batch, null, batch, null]);
    for (const row of await deliveries()) {
      const isQuick = row.subscription_id === quick;
      expect([row.started_at !== null, row.carrier]).toEqual([isQuick, isQuick ? batch : null]);
    }
  });

  test('E4, E14: one that is paused gets no delivery, and no place', async () => {
    const [paused, quick, underWay] = [await subscribe({ state: 'paused' }), await subscribe(), batches(1)];
    const of = await dispatch([paused, quick], { underWay, ...WIDE });
    expect(of).toEqual([undefined, ...carriers(underWay)]);
    expect((await deliveries()).map((row) => row.subscription_id)).toEqual([quick]);
  });

  test.each([
    [0, 0, true],
    [0, 1, false],
    [5, 5, true],
    [5, 6, false],
    [5, 60, false],
  ])(
    'E14: where %i may be overtaken and %i wait, that newer ones go out at once is %s',
    async (most, wait, isQuick) => {
      const [subscription, other, underWay] = [await subscribe(), await subscribe(), batches(10)];
      await deliver(subscription, wait);
      const of = await dispatch([subscription, subscription, other], { underWay, inFlight: 1_000, overtaken: most });
      const [batch] = carriers(underWay);
      expect(of).toEqual([...fill(2, isQuick ? batch : null), batch]);
    },
  );

  test('E14: only what waits is overtaken: not what is given out, asleep or over, nor what waits for others', async () => {
    const [subscription, other, underWay] = [await subscribe(), await subscribe(), batches(10)];
    await deliver(subscription, 5, { started_at: new Date() });
    await deliver(subscription, 5, { next_attempt_at: later(MINUTE) });
    await deliver(subscription, 5, { started_at: new Date(), next_attempt_at: later(MINUTE) });
    for (const state of ['delivered', 'failed', 'cancelled'] as const) await deliver(subscription, 5, { state });
    await deliver(other, 5);
    const of = await dispatch([subscription, other], { underWay, inFlight: 1_000, overtaken: 0 });
    expect(of).toEqual([underWay[0]!.batchId, null]);
  });

  test.each([
    [10, 0, 5],
    [10, 7, 3],
    [10, 9, 1],
    [10, 10, 0],
    [10, 12, 0],
  ])(
    'E12, E14: of one that may have %i in flight and has %i, so many more go out: %i',
    async (inFlight, has, count) => {
      const [subscription, underWay] = [await subscribe(), batches(2, 8)];
      await deliver(subscription, has, { started_at: new Date(), carrier: randomUUID() });
      const of = await dispatch(fill(5, subscription), { underWay, inFlight, overtaken: 20 });
      expect(of).toEqual([...carriers(underWay).slice(0, count), ...fill(5 - count, null)]);
    },
  );

  test('E12, E14: what waits, sleeps or is over is not in flight, nor what others have', async () => {
    const [subscription, other, underWay] = [await subscribe(), await subscribe(), batches(10)];
    await deliver(subscription, 5);
    await deliver(subscription, 5, { started_at: ago(MINUTE), next_attempt_at: later(MINUTE) });
    await deliver(subscription, 5, { started_at: ago(MINUTE), state: 'delivered' });
    await deliver(other, 5, { started_at: new Date() });
    const of = await dispatch([subscription, subscription, subscription, other], {
      underWay,
      inFlight: 2,
      overtaken: 20,
    });
    const [batch] = carriers(underWay);
    expect(of).toEqual([batch, batch, null, null]);
  });

  test('E12, E14: those that went out at once are in flight for the next, until they are over', async () => {
    const [subscription, places] = [await subscribe(), { underWay: batches(10), inFlight: 3, overtaken: 20 }];
    const [batch] = carriers(places.underWay);
    expect(await dispatch(fill(2, subscription), places)).toEqual([batch, batch]);
    expect(await dispatch(fill(2, subscription), places)).toEqual([batch, null]);
    expect(await dispatch(fill(2, subscription), places)).toEqual([null, null]);
    await database.db.updateTable('deliveries').set({ state: 'delivered' }).where('carrier', 'is not', null).execute();
    expect(await dispatch(fill(4, subscription), places)).toEqual([batch, batch, batch, null]);
  });

  test('E14: several subscriptions share the places, in the order of their deliveries', async () => {
    const [one, two, three] = [await subscribe(), await subscribe(), await subscribe()];
    const underWay = batches(2, 3);
    const of = await dispatch([one, two, three, three, one, two, one], { underWay, ...WIDE });
    expect(of).toEqual([...carriers(underWay), null, null]);
  });

  test('E12, E14: what one may not have is there for another', async () => {
    const [full, free, underWay] = [await subscribe(), await subscribe(), batches(2, 2)];
    await deliver(full, 9, { started_at: new Date() });
    const of = await dispatch([full, full, full, full, free, free, free, free], {
      underWay,
      inFlight: 10,
      overtaken: 20,
    });
    const [first, second, third, fourth] = carriers(underWay);
    expect(of).toEqual([first, null, null, null, second, third, fourth, null]);
  });

  test('E3, E14: of an event that is dispatched twice there is no second delivery, and the first stays where it is', async () => {
    const { db } = database;
    const [subscription, events, underWay] = [await subscribe(), await publish(3), batches(2)];
    const planned = events.map((id) => plan(id, subscription));
    await dispatchEvents(db, events, planned, { underWay, ...WIDE });
    const before = await deliveries();
    const again = events.map((id) => plan(id, subscription));
    expect(await dispatchEvents(db, events, again, { underWay: batches(10), ...WIDE })).toEqual([]);
    expect(await deliveries()).toEqual(before);
    expect(before.map(({ id }) => id).toSorted()).toEqual(planned.map(({ id }) => id).toSorted());
  });

  test('E2, E14: rolled back, it has neither marked nor written anything', async () => {
    const { db } = database;
    const [subscription, events] = [await subscribe(), await publish(3)];
    const planned = events.map((id) => plan(id, subscription));
    const transaction = await db.startTransaction().execute();
    const written = await dispatchEvents(transaction, events, planned, { underWay: batches(2), ...WIDE });
    expect(written.length).toBe(3);
    await transaction.rollback().execute();
    expect(await deliveries()).toEqual([]);
    expect((await undispatched()).toSorted()).toEqual(events.toSorted());
  });

  test.each([
    ['commit', 0],
    ['rollback', 3],
  ] as const)(
    'E2, E14: of two that dispatch the same events, after the first’s %s the second writes %i',
    async (end, count) => {
      const [subscription, events] = [await subscribe(), await publish(3)];
      const [mine, theirs] = [batches(2), batches(2)];
      await inTwoTransactions(database.db, async (one, other) => {
        const planned = events.map((id) => plan(id, subscription));
        expect((await dispatchEvents(one, events, planned, { underWay: mine, ...WIDE })).length).toBe(3);
        const again = events.map((id) => plan(id, subscription));
        const dispatching = dispatchEvents(other, events, again, { underWay: theirs, ...WIDE });
        await untilBlocked(database.db);
        await one[end]().execute();
        expect((await dispatching).length).toBe(count);
        await other.commit().execute();
      });
      const [batch] = carriers(end === 'commit' ? mine : theirs);
      expect((await deliveries()).map(({ carrier }) => carrier).toSorted()).toEqual([batch, batch, null].toSorted());
    },
  );

  test('E2, E14: by two at once each delivery is written once, and goes out with a batch of who wrote it', async () => {
    const { db } = database;
    const subscriptions = [await subscribe(), await subscribe()];
    const events = await publish(100);
    const relay = async (): Promise<Map<string, string | null>> => {
      const mine = new Map<string, string | null>();
      for (let more = true; more;) {
        const underWay = batches(3, 2);
        more = await db.transaction().execute(async (transaction) => {
          const taken = (await takeUndispatchedEvents(transaction, 7)).map(({ id }) => id);
          const planned = taken.flatMap((id) => subscriptions.map((subscription) => plan(id, subscription)));
          const written = await dispatchEvents(transaction, taken, planned, {
            underWay,
            inFlight: 1_000,
            overtaken: 1_000,
          });
          expect(written.filter(({ batchId }) => batchId !== null).length).toBe(Math.min(5, planned.length));
          for (const { id, batchId } of written) mine.set(id, batchId);
          return taken.length > 0;
        });
      }
      return mine;
    };
    const [one, other] = await Promise.all([relay(), relay()]);
    const rows = await deliveries();
    expect(rows.length).toBe(events.length * subscriptions.length);
    expect(one.size + other.size).toBe(rows.length);
    for (const { id, carrier, started_at } of rows) {
      expect([one.get(id), other.get(id)].filter((batch) => batch !== undefined)).toEqual([carrier]);
      expect(started_at === null).toBe(carrier === null);
    }
  });
});

const LIMITS: AdmissionLimits = {
  batch: 60,
  inFlight: 50,
  inFlightOnTrial: 4,
  probeLeaseMs: 5 * MINUTE,
  express: { batches: 2, batchSize: 10, inFlight: 100, inFlightOfAll: 100_000, gatherMs: 0, backlog: 20 },
};
/** No batch is begun. */
const NO_NEW: AdmissionLimits = { ...LIMITS, express: { ...LIMITS.express, batches: 0 } };

describe('deliveries that are admitted while batches are under way', () => {
  /** The sizes of the batches that are given, and of the new ones. */
  async function admit(limits: AdmissionLimits, underWay: BatchPlaces[], db: Database = database.db) {
    const admission = await admitDeliveries(db, limits, underWay);
    const sizes = new Map(admission.batches.map(({ id, deliveries }) => [id, deliveries.length]));
    return {
      alone: admission.admitted.map(({ id }) => id),
      together: admission.batches.flatMap((batch) => batch.deliveries),
      batches: admission.batches,
      underWay: underWay.map(({ batchId }) => sizes.get(batchId) ?? 0),
      fresh: admission.batches
        .filter(({ id }) => !underWay.some(({ batchId }) => batchId === id))
        .map((batch) => batch.deliveries.length)
        .toSorted((a, b) => b - a),
      crowded: admission.crowded,
    };
  }

  test('E14: those under way are filled first, then new ones, and each delivery knows its own', async () => {
    const { db } = database;
    const [subscription, underWay] = [await subscribe(), batches(3, 2)];
    const ids = await deliver(subscription, 20);
    const { underWay: filled, fresh, together, batches: all, alone } = await admit(LIMITS, underWay);
    expect([filled, fresh, alone]).toEqual([[3, 2], [10, 5], []]);
    expect(together.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    for (const { id: batchId, deliveries: some } of all) {
      for (const { id, subscriptionId } of some) {
        expect(subscriptionId).toBe(subscription);
        expect(await deliveryRow(db, id)).toMatchObject({ started_at: expect.any(Date) as Date, carrier: batchId });
      }
    }
  });

  test('E14: no new one is begun where those under way have places for all', async () => {
    const underWay = batches(3, 20);
    await deliver(await subscribe(), 12);
    expect(await admit(LIMITS, underWay)).toMatchObject({ underWay: [3, 9], fresh: [], crowded: false });
  });

  test('E14: where none is to be begun, only those under way get some, the oldest, and the rest waits', async () => {
    const { db } = database;
    const ids = await deliver(await subscribe(), 20);
    const { together, underWay, fresh } = await admit(NO_NEW, batches(3, 2));
    expect([underWay, fresh]).toEqual([[3, 2], []]);
    expect(together.map(({ id }) => id).toSorted()).toEqual(ids.slice(0, 5).toSorted());
    for (const id of ids.slice(5)) expect(await deliveryRow(db, id)).toMatchObject({ started_at: null, carrier: null });
    expect((await admit(NO_NEW, batches(100))).together.length).toBe(15);
  });

  test('E14: without any place nothing is admitted, and it says that more wait', async () => {
    const ids = await deliver(await subscribe(), 3);
    for (const underWay of [[], batches(0)])
      expect(await admit(NO_NEW, underWay)).toMatchObject({ alone: [], together: [], crowded: true });
    for (const id of ids) expect(await deliveryRow(database.db, id)).toMatchObject({ started_at: null, carrier: null });
    expect(await admit(NO_NEW, batches(3))).toMatchObject({ together: { length: 3 } });
    expect(await admit(NO_NEW, [])).toMatchObject({ together: [], crowded: false });
  });

  test('E14: without any place those of the other lanes are admitted all the same', async () => {
    const [workflow, auto, express] = [
      await subscribe({ lane: 'workflow' }),
      await subscribe({ lane: 'auto' }),
      await subscribe(),
    ];
    const ids = [...(await deliver(workflow, 3)), ...(await deliver(auto, 3))];
    await deliver(express, 3);
    const { alone, together, crowded } = await admit(NO_NEW, []);
    expect([alone.toSorted(), together, crowded]).toEqual([ids.toSorted(), [], true]);
  });

  test('E14: those of the other lanes take no places of batches that are under way', async () => {
    const [workflow, express] = [await subscribe({ lane: 'workflow' }), await subscribe()];
    await deliver(workflow, 3);
    await deliver(express, 3);
    const { alone, together } = await admit(LIMITS, batches(10));
    expect([alone.length, together.map((one) => one.subscriptionId)]).toEqual([3, fill(3, express)]);
  });

  test.each<[string, number, Updateable<SubscriptionTable>]>([
    ['that never had a success', 4, { last_success_at: null }],
    ['whose last attempt failed', 4, { consecutive_failures: 1 }],
    ['that is well', 20, {}],
  ])('E12, E14: one %s gets %i of the places', async (_what, most, books) => {
    await deliver(await subscribe(books), 20);
    expect((await admit(NO_NEW, batches(30))).underWay).toEqual([most]);
  });

  test('E14: few that come do not wait for more where a batch under way has places', async () => {
    const gathering = { ...LIMITS, express: { ...LIMITS.express, gatherMs: 30_000 } };
    const subscription = await subscribe();
    await deliver(subscription, 10, { started_at: new Date() });
    await deliver(subscription, 2, { date_created: new Date() });
    expect(await admit(gathering, [])).toMatchObject({ together: [], crowded: true });
    expect(await admit(gathering, batches(5))).toMatchObject({ underWay: [2], fresh: [], crowded: false });
  });

  test('E12, E14: one that has a thousand waiting keeps nobody from the places', async () => {
    const [busy, quiet] = [await subscribe(), await subscribe()];
    await deliver(busy, 1_000);
    const [only] = await deliver(quiet, 1);
    const { together } = await admit(NO_NEW, batches(3, 3));
    expect(together.map(({ id }) => id)).toContain(only);
  });

  test('E12, E14: when more subscriptions wait than there are places, each gets some before long', async () => {
    const subscriptions: string[] = [];
    for (let i = 0; i < 6; i++) subscriptions.push(await subscribe());
    for (const id of subscriptions) await deliver(id, 100);
    const seen = new Set<string>();
    for (let looks = 0; looks < 100 && seen.size < subscriptions.length; looks++) {
      // it is drawn by lot
      const { together } = await admit(NO_NEW, batches(1, 1));
      expect(together.length).toBe(2);
      for (const { subscriptionId } of together) seen.add(subscriptionId);
      await database.db
        .updateTable('deliveries')
        .set({ state: 'delivered' })
        .where('carrier', 'is not', null)
        .execute();
    }
    expect(seen.size).toBe(subscriptions.length);
  });

  test('E2, E14: several relays at once take every delivery once, each with batches of its own', async () => {
    for (let i = 0; i < 3; i++) await deliver(await subscribe(), 40);
    const wide = { ...NO_NEW, express: { ...NO_NEW.express, inFlight: 1_000 } };
    const all: { id: string; batch: string }[] = [];
    const relay = async (): Promise<void> => {
      for (;;) {
        const { batches: some } = await admit(wide, batches(3, 4));
        if (some.length === 0) return;
        for (const { id: batch, deliveries: its } of some) all.push(...its.map(({ id }) => ({ id, batch })));
      }
    };
    await Promise.all([relay(), relay(), relay()]);
    await relay(); // what others had locked just then
    expect(all.length).toBe(120);
    expect(new Set(all.map(({ id }) => id)).size).toBe(120);
    for (const { id, batch } of all) expect((await deliveryRow(database.db, id)).carrier).toBe(batch);
  });

  test('E2, E14: what a relay took and did not come to hand over is there for the next', async () => {
    await deliver(await subscribe(), 3);
    await inTwoTransactions(database.db, async (one, other) => {
      expect((await admit(NO_NEW, batches(10), one)).together.length).toBe(3);
      expect((await admit(NO_NEW, batches(10), other)).together).toEqual([]);
    });
    expect((await admit(NO_NEW, batches(10))).together.length).toBe(3);
  });
});
