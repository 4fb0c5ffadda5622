import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  dispatchEvents,
  insertEvent,
  insertEventFor,
  readEventBacklog,
  readSince,
  takeUndispatchedEvents,
} from '../../src/database/events.ts';
import { deleteSubscription, insertSubscription, updateSubscription } from '../../src/database/subscriptions.ts';
import type { SubscriptionState } from '../../src/domain/subscription.ts';
import { untilBlocked } from '../support/batches.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { planDelivery as plan } from '../support/waiting-deliveries.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await sql`truncate events, subscriptions cascade`.execute(database.db);
});

/** An event that was published so many seconds after the first day of 2026 began. */
async function eventAt(seconds: number, topic = 'a.b', payload = String(seconds)): Promise<string> {
  const id = randomUUID();
  await database.db
    .insertInto('events')
    .values({ id, topic, payload, created_at: at(seconds) })
    .execute();
  return id;
}
const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1) + seconds * 1_000);

async function subscribe(state: SubscriptionState = 'active'): Promise<{ id: string; name: string }> {
  const { db } = database;
  const [id, name] = [randomUUID(), `s ${randomUUID()}`];
  const url = 'https://example.com';
  const sealed = Buffer.alloc(0);
  await insertSubscription(db, { id, name, url, patterns: ['>'], headersSealed: sealed, secretSealed: sealed });
  if (state !== 'active') await updateSubscription(db, name, { state });
  // The events that tell of it are no matter here.
  await sql`delete from events where topic = 'system.webhook.subscriptions_changed'`.execute(db);
  return { id, name };
}

const events = () => database.db.selectFrom('events').selectAll().orderBy('created_at').execute();
const deliveries = () => database.db.selectFrom('deliveries').selectAll().execute();

describe('insertEvent', () => {
  test('E2: an id that is known changes nothing and says so', async () => {
    const { db } = database;
    const event = { id: randomUUID(), topic: 'a.b', payload: '1' };
    expect(await insertEvent(db, event)).toEqual({ id: event.id, duplicate: false });
    expect(await insertEvent(db, { ...event, payload: '2', dedupeKey: 'k' })).toEqual({
      id: event.id,
      duplicate: true,
    });
    expect(await events()).toMatchObject([{ id: event.id, payload: '1', dedupe_key: null, dispatched_at: null }]);
  });

  test('E2: a dedupe key that is known gives the id of that event', async () => {
    const { db } = database;
    const first = { id: randomUUID(), topic: 'a.b', payload: '1', dedupeKey: 'k' };
    await insertEvent(db, first);
    expect(await insertEvent(db, { ...first, id: randomUUID() })).toEqual({ id: first.id, duplicate: true });
    expect((await events()).length).toBe(1);
  });
});

describe('takeUndispatchedEvents', () => {
  test('E2: takes the oldest, no more than it is asked for, and none that is dispatched', async () => {
    const { db } = database;
    const [third, first, done, second] = [await eventAt(3), await eventAt(1), await eventAt(0), await eventAt(2)];
    await dispatchEvents(db, [done], []);
    const ids = async (limit: number) => (await takeUndispatchedEvents(db, limit)).map(({ id }) => id);
    expect(await ids(2)).toEqual([first, second]);
    expect(await ids(10)).toEqual([first, second, third]);
    expect(await takeUndispatchedEvents(db, 1)).toMatchObject([{ id: first, topic: 'a.b' }]);
  });

  test('E2: two workers at once take different events, and neither waits for the other', async () => {
    const { db } = database;
    const all = [];
    for (let i = 0; i < 10; i++) all.push(await eventAt(i));
    const [one, other, third] = [
      await db.startTransaction().execute(),
      await db.startTransaction().execute(),
      await db.startTransaction().execute(),
    ];
    const take = async (transaction: typeof one, limit: number) =>
      (await takeUndispatchedEvents(transaction, limit)).map(({ id }) => id);
    expect(await take(one, 4)).toEqual(all.slice(0, 4));
    expect(await take(other, 4)).toEqual(all.slice(4, 8));
    expect(await take(third, 4)).toEqual(all.slice(8));
    expect(await take(third, 4)).toEqual(all.slice(8)); // its own, still

    // What a worker took and did not come to dispatch is there for the next.
    await one.rollback().execute();
    await dispatchEvents(other, all.slice(4, 8), []);
    await other.commit().execute();
    expect(await take(third, 10)).toEqual([...all.slice(0, 4), ...all.slice(8)]);
    await third.rollback().execute();
  });

  test('E2: of an event that is being dispatched nobody takes a second copy', async () => {
    const { db } = database;
    const id = await eventAt(1);
    const transaction = await db.startTransaction().execute();
    await takeUndispatchedEvents(transaction, 1);
    await dispatchEvents(transaction, [id], []);
    expect(await takeUndispatchedEvents(db, 1)).toEqual([]);
    await transaction.commit().execute();
    expect(await takeUndispatchedEvents(db, 1)).toEqual([]);
  });

  test('E2: many workers at once dispatch every event exactly once', async () => {
    const { db } = database;
    await sql`insert into events (topic, payload) select 'a.b', n::text from generate_series(1, 500) n`.execute(db);
    const taken: string[] = [];
    const work = async (): Promise<void> => {
      for (let more = true; more;) {
        more = await db.transaction().execute(async (transaction) => {
          const batch = await takeUndispatchedEvents(transaction, 7);
          const ids = batch.map(({ id }) => id);
          await dispatchEvents(transaction, ids, []);
          taken.push(...ids);
          return ids.length > 0;
        });
      }
    };
    await Promise.all([work(), work(), work(), work()]);
    expect(taken.length).toBe(500);
    expect(new Set(taken).size).toBe(500);
    expect(await takeUndispatchedEvents(db, 1)).toEqual([]);
  });
});

/** How many deliveries are written. */
const written = async (...input: Parameters<typeof dispatchEvents>) => (await dispatchEvents(...input)).length;

describe('dispatchEvents', () => {
  test('E1: writes the deliveries, each to be started, and marks the events', async () => {
    const { db } = database;
    const [one, other] = [await subscribe(), await subscribe()];
    const [first, second, third] = [await eventAt(1), await eventAt(2), await eventAt(3)];
    const planned = [plan(first, one.id), plan(first, other.id), plan(second, one.id)];
    expect(await written(db, [first, second], planned)).toBe(3);
    expect((await deliveries()).map(({ id }) => id).sort()).toEqual(planned.map(({ id }) => id).sort());
    const delivery = (await deliveries()).find(({ id }) => id === planned[1]!.id);
    expect(delivery).toEqual({
      id: planned[1]!.id,
      event_id: first,
      subscription_id: other.id,
      state: 'pending',
      failure_detail: null,
      attempt_count: 0,
      date_created: expect.any(Date) as Date,
      date_first_sent: null,
      date_sent: null,
      next_attempt_at: null,
      window_started_at: null,
      started_at: null,
      carrier: null,
    });
    expect((await events()).filter(({ dispatched_at }) => dispatched_at === null).map(({ id }) => id)).toEqual([third]);
  });

  test('E1: an event that interests nobody is dispatched all the same', async () => {
    const { db } = database;
    const id = await eventAt(1);
    expect(await written(db, [id], [])).toBe(0);
    expect(await takeUndispatchedEvents(db, 1)).toEqual([]);
  });

  test('E1: nothing is nothing', async () => {
    expect(await written(database.db, [], [])).toBe(0);
  });

  test('E4, E10: leaves out subscriptions that are paused or deleted, and not tripped ones', async () => {
    const { db } = database;
    const [active, tripped, paused, deleted] = [
      await subscribe(),
      await subscribe('tripped'),
      await subscribe('paused'),
      await subscribe(),
    ];
    await deleteSubscription(db, deleted.name);
    const event = await eventAt(1);
    const planned = [active, tripped, paused, deleted].map(({ id }) => plan(event, id));
    expect(await written(db, [event], planned)).toBe(2);
    expect(new Set((await deliveries()).map((one) => one.subscription_id))).toEqual(new Set([active.id, tripped.id]));
  });

  test('E3: one event makes one delivery to a subscription, however often it is dispatched', async () => {
    const { db } = database;
    const [subscription, event] = [await subscribe(), await eventAt(1)];
    const first = plan(event, subscription.id);
    expect(await written(db, [event], [first])).toBe(1);
    expect(await written(db, [event], [plan(event, subscription.id)])).toBe(0);
    expect(await written(db, [event], [first])).toBe(0);
    const twice = await eventAt(2);
    expect(await written(db, [twice], [plan(twice, subscription.id), plan(twice, subscription.id)])).toBe(1);
    expect((await deliveries()).filter(({ event_id }) => event_id === event)).toMatchObject([{ id: first.id }]);
  });

  test.each([
    ['is deleted', 'commit', 0],
    ['was about to be deleted, and is not', 'rollback', 1],
  ] as const)('E4: a subscription that %s meanwhile is waited for', async (_, end, count) => {
    const { db } = database;
    const [doomed, other, event] = [await subscribe(), await subscribe(), await eventAt(1)];
    const deleting = await db.startTransaction().execute();
    await deleteSubscription(deleting, doomed.name);
    const dispatching = dispatchEvents(db, [event], [plan(event, doomed.id), plan(event, other.id)]);
    await untilBlocked(db);
    await deleting[end]().execute();
    expect((await dispatching).length).toBe(1 + count);
    expect((await deliveries()).length).toBe(1 + count);
  });

  test('E4: nobody deletes a subscription while it is being dispatched to', async () => {
    const { db } = database;
    const [subscription, event] = [await subscribe(), await eventAt(1)];
    const dispatching = await db.startTransaction().execute();
    await dispatchEvents(dispatching, [event], [plan(event, subscription.id)]);
    const deleting = deleteSubscription(db, subscription.name);
    await untilBlocked(db);
    await dispatching.commit().execute();
    expect(await deleting).toBe(true);
    expect(await deliveries()).toEqual([]); // they went with it
  });

  test('E2: rolled back, it has neither marked nor written anything', async () => {
    const { db } = database;
    const [subscription, event] = [await subscribe(), await eventAt(1)];
    const transaction = await db.startTransaction().execute();
    await dispatchEvents(transaction, [event], [plan(event, subscription.id)]);
    await transaction.rollback().execute();
    expect(await takeUndispatchedEvents(db, 1)).toMatchObject([{ id: event, topic: 'a.b' }]);
    expect(await deliveries()).toEqual([]);
  });
});

describe('insertEventFor', () => {
  const event = () => ({ id: randomUUID(), topic: 'test.ping', payload: '{"n": 1}' });

  test.each(['active', 'tripped'] as const)('stores an event and its delivery to one that is %s', async (state) => {
    const { db } = database;
    const [subscription, ping, id] = [await subscribe(state), event(), randomUUID()];
    await subscribe(); // another one, that has nothing to do with it
    expect(await insertEventFor(db, ping, { id, subscriptionId: subscription.id })).toBe(true);
    expect(await events()).toMatchObject([{ ...ping, dispatched_at: expect.any(Date) as Date }]);
    expect(await deliveries()).toMatchObject([
      { id, event_id: ping.id, subscription_id: subscription.id, state: 'pending', started_at: null },
    ]);
    expect(await takeUndispatchedEvents(db, 1)).toEqual([]);
  });

  test('stores nothing for a subscription that is paused or deleted', async () => {
    const { db } = database;
    const [paused, deleted] = [await subscribe('paused'), await subscribe()];
    await deleteSubscription(db, deleted.name);
    await sql`delete from events`.execute(db);
    for (const { id } of [paused, deleted]) {
      expect(await insertEventFor(db, event(), { id: randomUUID(), subscriptionId: id })).toBe(false);
    }
    expect([await events(), await deliveries()]).toEqual([[], []]);
  });

  test('stores nothing for a subscription that is being deleted', async () => {
    const { db } = database;
    const subscription = await subscribe();
    const deleting = await db.startTransaction().execute();
    await deleteSubscription(deleting, subscription.name);
    const storing = insertEventFor(db, event(), { id: randomUUID(), subscriptionId: subscription.id });
    await untilBlocked(db);
    await deleting.commit().execute();
    expect(await storing).toBe(false);
    expect(await deliveries()).toEqual([]);
    expect((await events()).filter(({ topic }) => topic === 'test.ping')).toEqual([]);
  });
});

test('E13: the backlog counts what is not dispatched, and since when', async () => {
  const { db } = database;
  expect(await readEventBacklog(db)).toEqual({ count: 0, oldestAt: null });
  const [oldest] = [await eventAt(1), await eventAt(2), await eventAt(3)];
  expect(await readEventBacklog(db)).toEqual({ count: 3, oldestAt: at(1) });
  await dispatchEvents(db, [oldest], []);
  expect(await readEventBacklog(db)).toEqual({ count: 2, oldestAt: at(2) });
});

test('E9: payloads of a topic since then, the oldest first, dispatched or not', async () => {
  const { db } = database;
  const topic = 'system.webhook.control';
  const late = await eventAt(4, topic, '"late"');
  await eventAt(2, topic, '"then"');
  await eventAt(3, topic, '{"action": "stop"}');
  await eventAt(3, 'system.webhook.health', '"another topic"');
  await eventAt(1, topic, '"before"');
  await dispatchEvents(db, [late], []);
  const payloads = async (since: Date | null) => (await readSince(db, topic, since)).payloads;
  expect(await payloads(at(2))).toEqual(['{"action": "stop"}', '"late"']);
  expect(await payloads(at(4))).toEqual([]);
  expect(await payloads(null)).toEqual([]);
});

test('E9: to read on from the time of the last reading finds what was published since, once', async () => {
  const { db } = database;
  const topic = 'system.webhook.control';
  // A Date has no microseconds: what is published within the millisecond of a reading may be read again.
  const publishOne = async (payload: string) => {
    await insertEvent(db, { id: randomUUID(), topic, payload });
    await sql`select pg_sleep(0.005)`.execute(db);
  };
  await publishOne('"before"');
  const first = await readSince(db, topic, null);
  expect(first.payloads).toEqual([]);
  await publishOne('"since"');
  const second = await readSince(db, topic, first.now);
  expect(second.payloads).toEqual(['"since"']);
  expect((await readSince(db, topic, second.now)).payloads).toEqual([]);
});
