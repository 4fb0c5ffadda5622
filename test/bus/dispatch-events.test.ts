import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql, type Updateable } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dispatchBatch } from '../../src/bus/dispatch-events.ts';
import { publish } from '../../src/bus/outbox.ts';
import { SubscriptionsCache } from '../../src/bus/subscriptions-cache.ts';
import { isConnectionFault } from '../../src/database/connection.ts';
import { loadBatch } from '../../src/database/first-attempts.ts';
import {
  deleteSubscription,
  insertSubscription,
  subscriptionsVersion,
  updateSubscription,
} from '../../src/database/subscriptions.ts';
import type { SubscriptionTable } from '../../src/database/tables.ts';
import { type Handed, OpenBatches } from '../../src/egress/open-batches.ts';
import { breakOffAt } from '../support/broken-transaction.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { recordingLogger } from '../support/recording-logger.ts';

let database: TestDatabase;
let cache: SubscriptionsCache;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await sql`truncate events, subscriptions cascade`.execute(database.db);
  cache = new SubscriptionsCache(recordingLogger().logger);
});

async function subscribe(name: string, patterns: string[]): Promise<string> {
  const id = randomUUID();
  const sealed = Buffer.alloc(0);
  const url = 'https://example.com';
  await insertSubscription(database.db, { id, name, url, patterns, headersSealed: sealed, secretSealed: sealed });
  await sql`delete from events where topic = 'system.webhook.subscriptions_changed'`.execute(database.db);
  return id;
}

const publishOne = (topic: string, data: unknown = 1) => publish(database.db, { topic, data });
const dispatch = async () => (await dispatchBatch(database.db, cache)).events;

/** The deliveries that there are: who is to get which topic, in the order of their names. */
async function deliveries(): Promise<string[]> {
  const rows = await database.db
    .selectFrom('deliveries')
    .innerJoin('events', 'events.id', 'event_id')
    .innerJoin('subscriptions', 'subscriptions.id', 'subscription_id')
    .select(['name', 'topic'])
    .execute();
  return rows.map(({ name, topic }) => `${name} ${topic}`).toSorted();
}

/** A relay's way of dispatching, with a memory of its own, until it is stopped. */
function startDispatcher({ reloading = false } = {}) {
  const own = new SubscriptionsCache(recordingLogger().logger);
  let stopped = false;
  const isStopped = () => stopped;
  const running = (async () => {
    while (!isStopped()) {
      if (reloading) await own.reload(database.db);
      if ((await dispatchBatch(database.db, own)).events === 0) await sleep(2);
    }
  })();
  return {
    async stop() {
      stopped = true;
      await running;
    },
  };
}

async function untilAllDispatched(): Promise<void> {
  const waiting = () => database.db.selectFrom('events').select('id').where('dispatched_at', 'is', null).execute();
  await expect.poll(async () => (await waiting()).length, { timeout: 20_000 }).toBe(0);
}

describe('a batch', () => {
  test('E1 E3: each subscription with a matching pattern gets one delivery, however many of its patterns match', async () => {
    await subscribe('both', ['app.order.*', 'app.>', '>', 'app.order.paid']);
    await subscribe('one', ['*.order.paid']);
    await subscribe('none', ['app.order', 'app.*', 'order.paid', 'app.order.paid.>']);
    await publishOne('app.order.paid');
    expect(await dispatch()).toBe(1);
    expect(await deliveries()).toEqual(['both app.order.paid', 'one app.order.paid']);
    expect(await dispatch()).toBe(0);
  });

  test('E3: topics of the system reach only patterns that begin with "system"', async () => {
    await subscribe('all', ['>', '*.webhook.health', '*.>', '*.*.*']);
    await subscribe('system', ['system.>']);
    await subscribe('health', ['system.*.health']);
    await subscribe('plain', ['system']);
    for (const topic of ['system.webhook.health', 'system.webhook.else', 'systems.webhook.health', 'system']) {
      await publishOne(topic);
    }
    expect(await dispatch()).toBe(4);
    expect(await deliveries()).toEqual([
      'all system',
      'all systems.webhook.health',
      'health system.webhook.health',
      'plain system',
      'system system.webhook.else',
      'system system.webhook.health',
    ]);
  });

  test('E1: of an event that nobody wants nothing stays to be done', async () => {
    await publishOne('a');
    expect(await dispatch()).toBe(1);
    expect(await dispatch()).toBe(0);
  });

  test('E2: takes 200 at once, the oldest first, and the rest with the next', async () => {
    await subscribe('all', ['>']);
    await sql`insert into events (topic, payload) select 'n', n::text from generate_series(1, 450) n`.execute(
      database.db,
    );
    expect([await dispatch(), await dispatch(), await dispatch(), await dispatch()]).toEqual([200, 200, 50, 0]);
    expect((await deliveries()).length).toBe(450);
  });

  test('E2: fails as a whole, and is there to be taken again', async () => {
    const { db } = database;
    await subscribe('one', ['>']);
    await publishOne('a');
    await sql`alter table deliveries rename to deliveries_away`.execute(db);
    await expect(dispatch()).rejects.toThrow('deliveries');
    await sql`alter table deliveries_away rename to deliveries`.execute(db);
    expect(await deliveries()).toEqual([]);
    expect(await dispatch()).toBe(1);
    expect(await deliveries()).toEqual(['one a']);
  });

  test('E4 E10: a paused subscription is passed by; for a tripped one the delivery is kept', async () => {
    await subscribe('paused', ['>']);
    await subscribe('tripped', ['>']);
    await updateSubscription(database.db, 'paused', { state: 'paused' });
    await updateSubscription(database.db, 'tripped', { state: 'tripped' });
    await publishOne('a');
    await dispatch();
    expect(await deliveries()).toEqual(['tripped a']);
  });
});

describe('a batch that is dispatched while others are under way', () => {
  interface Opened {
    id: string;
    handed: Handed[];
  }
  let openBatches: OpenBatches;
  beforeEach(() => {
    openBatches = new OpenBatches();
  });
  afterEach(() => {
    openBatches.close();
  });

  /** One with so many places; it has something in hand, so it does not end soon. */
  function open(places: number): Opened {
    const [id, handed] = [randomUUID(), [] as Handed[]];
    openBatches.open(id, 100 - places, (some) => handed.push(some));
    return { id, handed };
  }

  /** One that had a success. */
  async function subscribeTo(name: string, patterns: string[], books: Updateable<SubscriptionTable> = {}) {
    const id = await subscribe(name, patterns);
    await updateSubscription(database.db, name, { lane: 'express', last_success_at: new Date(), ...books });
    await sql`delete from events where topic = 'system.webhook.subscriptions_changed'`.execute(database.db);
    return id;
  }

  const dispatchWithThem = () => dispatchBatch(database.db, cache, openBatches);
  const idsOf = ({ handed }: Pick<Opened, 'handed'>) =>
    handed.flatMap(({ deliveries: some }) => some.map(({ id }) => id));
  const rows = () => database.db.selectFrom('deliveries').selectAll().orderBy('id').execute();
  const undispatched = async () =>
    (await database.db.selectFrom('events').select('id').where('dispatched_at', 'is', null).execute()).length;

  test('E14: an open batch is handed just what it would read of its deliveries, and no more than it has places for', async () => {
    const { db } = database;
    const id = await subscribeTo('one', ['>']);
    for (let n = 0; n < 5; n++) await publishOne(`a.${n}`, { n, text: 'ü "x"' });
    const batch = open(3);
    expect(await dispatchWithThem()).toMatchObject({ events: 5, handed: 3, waiting: 2 });
    expect(batch.handed).toEqual([await loadBatch(db, batch.id)]);
    expect(batch.handed[0]!.deliveries).toMatchObject(
      [0, 1, 2].map((n) => ({
        number: 1,
        windowStartedAt: null,
        topic: `a.${n}`,
        payload: JSON.stringify({ n, text: 'ü "x"' }),
        subscriptionId: id,
      })),
    );
    for (const row of await rows()) {
      const isHanded = idsOf(batch).includes(row.id);
      expect([row.carrier, row.started_at !== null]).toEqual(isHanded ? [batch.id, true] : [null, false]);
    }
  });

  test('E14: several are filled, the newest first, and each is handed its own, of whichever subscription', async () => {
    const { db } = database;
    for (const name of ['one', 'other']) await subscribeTo(name, ['>']);
    for (let n = 0; n < 4; n++) await publishOne(`a.${n}`, n);
    const [oldest, older, newer] = [open(50), open(2), open(5)];
    expect(await dispatchWithThem()).toMatchObject({ handed: 8, waiting: 0 });
    expect([idsOf(newer).length, idsOf(older).length, idsOf(oldest).length]).toEqual([5, 2, 1]);
    for (const { id, handed } of [oldest, older, newer]) expect(handed).toEqual([await loadBatch(db, id)]);
    expect(new Set([oldest, older, newer].flatMap(idsOf)).size).toBe(8);
  });

  test.each([
    ['as large as may be', 10_000, true],
    ['larger', 10_001, false],
  ])('E14: a payload that is %s, of %i bytes, is with its delivery: %s', async (_what, bytes, isGiven) => {
    await subscribeTo('one', ['>']);
    const data = 'ü'.repeat(4_000) + 'x'.repeat(bytes - 8_002); // with its quotation marks
    await publishOne('a', data);
    await publishOne('b', 'small');
    const batch = open(50);
    await dispatchWithThem();
    expect(batch.handed).toEqual([await loadBatch(database.db, batch.id)]);
    expect(batch.handed[0]!.deliveries.map(({ topic, payload }) => [topic, payload])).toEqual([
      ['a', isGiven ? JSON.stringify(data) : null],
      ['b', '"small"'],
    ]);
  });

  test('E4, E14: it is handed the version of the subscriptions that its events met', async () => {
    const { db } = database;
    await subscribeTo('one', ['>']);
    const batch = open(50);
    const versions: string[] = [];
    for (const url of ['https://example.com/a', 'https://example.com/b']) {
      await updateSubscription(db, 'one', { url });
      await publishOne('a');
      versions.push(await subscriptionsVersion(db));
      await dispatchWithThem();
    }
    await subscribeTo('other', ['b']);
    await publishOne('b');
    versions.push(await subscriptionsVersion(db));
    await dispatchWithThem();
    expect(batch.handed.map(({ version }) => version)).toEqual(versions);
    expect(new Set(versions).size).toBe(versions.length);
  });

  test('E14: counts who has express deliveries, those handed over, and those that wait, of whichever lane', async () => {
    await subscribeTo('express', ['>']);
    await subscribeTo('few', ['b.*']);
    await subscribeTo('failing', ['a'], { consecutive_failures: 1 });
    await subscribeTo('workflow', ['>'], { lane: 'workflow' });
    await subscribeTo('auto', ['a'], { lane: 'auto' });
    for (const topic of ['a', 'b.1', 'b.2', 'c']) await publishOne(topic);
    open(50);
    const { express, ...counts } = await dispatchWithThem();
    expect(counts).toEqual({
      events: 4,
      lateMs: expect.any(Number) as number,
      isFull: false,
      handed: 4 + 2,
      waiting: 1 + 4 + 1,
    });
    expect(express.deliveries).toBe(4 + 2 + 1);
    expect(express.subscriptions.map(({ name }) => name).toSorted()).toEqual(['express', 'failing', 'few']);
  });

  test('E14: counts nothing where nothing is to be dispatched', async () => {
    await subscribeTo('one', ['>']);
    const batch = open(50);
    expect(await dispatchWithThem()).toEqual({
      events: 0,
      lateMs: 0,
      isFull: false,
      express: { deliveries: 0, subscriptions: [] },
      handed: 0,
      waiting: 0,
    });
    expect([openBatches.free, batch.handed]).toEqual([50, []]);
  });

  test('E14: takes no more events than it is told to, and says how long the oldest has waited', async () => {
    await subscribeTo('one', ['>']);
    open(50);
    for (const topic of ['a', 'b', 'c']) await publishOne(topic);
    await sql`update events set created_at = now() - interval '40 days' where topic = 'b'`.execute(database.db);
    const first = await dispatchBatch(database.db, cache, openBatches, 2);
    expect(first).toMatchObject({ events: 2, isFull: true, handed: 2 });
    expect(first.lateMs).toBeGreaterThanOrEqual(40 * 86_400_000);
    expect(await dispatchBatch(database.db, cache, openBatches, 2)).toMatchObject({ events: 1, isFull: false });
  });

  test('E14: places that were not used are free afterwards', async () => {
    await subscribeTo('one', ['a']);
    await subscribeTo('new', ['*'], { last_success_at: null });
    for (const topic of ['a', 'b', 'a', 'b']) await publishOne(topic);
    const batch = open(50);
    expect(await dispatchWithThem()).toMatchObject({ handed: 2, waiting: 4 });
    expect([openBatches.free, idsOf(batch).length]).toEqual([48, 2]);
  });

  test('E4, E14: so are those of a subscription that was paused or deleted meanwhile', async () => {
    const { db } = database;
    for (const name of ['one', 'paused', 'deleted']) await subscribeTo(name, ['>']);
    await publishOne('a');
    // As if it had not heard of that yet.
    const before = await cache.reload(db);
    const current = () => Promise.resolve(before);
    await updateSubscription(db, 'paused', { state: 'paused' });
    await deleteSubscription(db, 'deleted');
    const batch = open(50);
    const stale = Object.assign(new SubscriptionsCache(recordingLogger().logger), { current });
    expect(await dispatchBatch(db, stale, openBatches)).toMatchObject({ handed: 1, waiting: 0 });
    expect(await deliveries()).toEqual(['one a']);
    expect([openBatches.free, idsOf(batch).length]).toEqual([49, 1]);
  });

  test('E14: without any open batch all wait', async () => {
    await subscribeTo('one', ['>']);
    for (let n = 0; n < 3; n++) await publishOne('a');
    expect(await dispatchWithThem()).toMatchObject({ events: 3, handed: 0, waiting: 3, express: { deliveries: 3 } });
    for (const row of await rows()) expect(row).toMatchObject({ started_at: null, carrier: null });
  });

  test('E14: nor is anything given to a batch that ends', async () => {
    await subscribeTo('one', ['>']);
    await publishOne('a');
    const batch = open(50);
    openBatches.close();
    expect(await dispatchWithThem()).toMatchObject({ handed: 0, waiting: 1 });
    expect(batch.handed).toEqual([]);
    for (const row of await rows()) expect(row).toMatchObject({ started_at: null, carrier: null });
  });

  test('E14: behind more than twenty that wait a newer one waits too', async () => {
    await subscribeTo('one', ['>']);
    for (let n = 0; n < 21; n++) await publishOne('a');
    expect(await dispatch()).toBe(21);
    await publishOne('a');
    const batch = open(50);
    expect(await dispatchWithThem()).toMatchObject({ handed: 0, waiting: 1 });
    expect([openBatches.free, batch.handed]).toEqual([50, []]);
  });

  test('E2, E14: fails before it has any place: nothing is handed over, and its events are there for the next', async () => {
    await subscribeTo('one', ['>']);
    await publishOne('a');
    const batch = open(50);
    const failing = Object.assign(new SubscriptionsCache(recordingLogger().logger), {
      current: () => Promise.reject(new Error('the subscriptions are unknown')),
    });
    await expect(dispatchBatch(database.db, failing, openBatches)).rejects.toThrow('the subscriptions are unknown');
    expect([openBatches.free, batch.handed, await rows(), await undispatched()]).toEqual([50, [], [], 1]);
    expect(await dispatchWithThem()).toMatchObject({ handed: 1 });
    expect(batch.handed).toEqual([await loadBatch(database.db, batch.id)]);
  });

  test('E2, E14: that is cut off gives all places back: nothing is handed over, and its events are there for the next', async () => {
    const { db } = database;
    await subscribeTo('one', ['>']);
    for (let n = 0; n < 3; n++) await publishOne('a');
    const batch = open(50);
    const endFault = await breakOffAt(db, 'deliveries');
    await expect(dispatchWithThem()).rejects.toSatisfy(isConnectionFault);
    await endFault();
    expect([openBatches.free, batch.handed, await rows(), await undispatched()]).toEqual([50, [], [], 3]);
    expect(await dispatchWithThem()).toMatchObject({ handed: 3 });
    expect([openBatches.free, batch.handed]).toEqual([47, [await loadBatch(db, batch.id)]]);
  });

  test('E2, E14: a batch that is asked to end while it is cut off ends then', async () => {
    await subscribeTo('one', ['>']);
    await publishOne('a');
    const { closed, close } = openBatches.open(randomUUID(), 50, () => undefined);
    const endFault = await breakOffAt(database.db, 'deliveries');
    const dispatching = dispatchWithThem();
    close();
    await expect(dispatching).rejects.toSatisfy(isConnectionFault);
    await endFault();
    await closed;
    expect(openBatches.free).toBe(0);
  });

  test('E2, E14: by several relays at once each delivery is handed to one batch, or waits', async () => {
    for (const name of ['one', 'other']) await subscribeTo(name, ['>']);
    await sql`insert into events (topic, payload) select 'n', n::text from generate_series(1, 450) n`.execute(
      database.db,
    );
    const relay = async () => {
      const own = new OpenBatches();
      const handed: Handed[] = [];
      for (const places of [40, 30]) own.open(randomUUID(), 100 - places, (some) => handed.push(some));
      const ownCache = new SubscriptionsCache(recordingLogger().logger);
      while ((await dispatchBatch(database.db, ownCache, own)).events > 0);
      own.close();
      return idsOf({ handed });
    };
    const handed = (await Promise.all([relay(), relay(), relay()])).flat();
    expect(new Set(handed).size).toBe(handed.length);
    expect(handed.length).toBeGreaterThanOrEqual(70);
    const all = await rows();
    expect(all.length).toBe(900);
    expect(all.filter(({ carrier }) => carrier !== null).map(({ id }) => id)).toEqual(handed.toSorted());
  });
});

describe('changes while events flow', () => {
  /** Publishes numbers from 1 on, one after the other, by several at once, until it is stopped. */
  function startPublishing(topicOf: (n: number) => string) {
    let last = 0;
    let stopped = false;
    const isStopped = () => stopped;
    const publisher = async (): Promise<void> => {
      while (!isStopped()) {
        const n = ++last;
        await publishOne(topicOf(n), n);
      }
    };
    const running = Promise.all(Array.from({ length: 3 }, publisher));
    return {
      /** The last number of which the publishing may have begun. */
      last: () => last,
      async untilPublished(n: number) {
        await expect.poll(() => last, { interval: 5, timeout: 20_000 }).toBeGreaterThan(n);
      },
      async stop() {
        stopped = true;
        await running;
      },
    };
  }

  /** The numbers that a subscription is to get. */
  async function numbersOf(name: string): Promise<number[]> {
    const rows = await database.db
      .selectFrom('deliveries')
      .innerJoin('events', 'events.id', 'event_id')
      .innerJoin('subscriptions', 'subscriptions.id', 'subscription_id')
      .select('payload')
      .where('name', '=', name)
      .where('topic', 'not like', 'system.%')
      .execute();
    return rows.map(({ payload }) => Number(payload)).toSorted((a, b) => a - b);
  }

  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

  /** Waits until all numbers up to this one are dispatched. */
  async function untilDispatchedUpTo(n: number): Promise<void> {
    const dispatched = async () => {
      const { rows } = await sql<{ n: number }>`
        select count(*)::int as n from events
        where dispatched_at is not null and topic not like 'system.%' and payload::int <= ${n}
      `.execute(database.db);
      return rows[0]?.n;
    };
    await expect.poll(dispatched, { interval: 5, timeout: 20_000 }).toBe(n);
  }

  test('E4: every event published after a change has returned follows the new patterns, whichever relay takes it', async () => {
    await subscribe('moving', ['even']);
    await subscribe('all', ['*']);
    const dispatchers = [startDispatcher(), startDispatcher(), startDispatcher({ reloading: true })];
    const publishing = startPublishing((n) => (n % 2 === 0 ? 'even' : 'odd'));
    /** What it is to have got of the numbers outside of the moments in which a change was on its way. */
    const wanted: { from: number; to: number; topic: string }[] = [];
    let [from, topic] = [1, 'even'];
    for (let change = 0; change < 7; change++) {
      await publishing.untilPublished(from + 40);
      const to = publishing.last();
      await untilDispatchedUpTo(to);
      wanted.push({ from, to, topic });
      topic = topic === 'even' ? 'odd' : 'even';
      await updateSubscription(database.db, 'moving', { patterns: [topic] });
      from = publishing.last() + 1;
    }
    await publishing.stop();
    await untilAllDispatched();
    await Promise.all(dispatchers.map((one) => one.stop()));

    expect(await numbersOf('all')).toEqual(range(1, publishing.last())); // none was lost or doubled in any of the reloads
    const got = await numbersOf('moving');
    for (const { from, to, topic } of wanted) {
      const rest = topic === 'even' ? 0 : 1;
      expect(got.filter((n) => n >= from && n <= to)).toEqual(range(from, to).filter((n) => n % 2 === rest));
    }
  });

  test('E4: one that is paused and enabled again gets what is published from then on; one that is deleted disturbs nobody', async () => {
    const { db } = database;
    await subscribe('all', ['*']);
    await subscribe('going', ['*']);
    await subscribe('doomed', ['*']);
    const dispatchers = [startDispatcher(), startDispatcher()];
    const publishing = startPublishing(() => 'n');
    await publishing.untilPublished(30);
    await updateSubscription(db, 'going', { state: 'paused' });
    const paused = publishing.last();
    await deleteSubscription(db, 'doomed');
    await publishing.untilPublished(paused + 30);
    await untilDispatchedUpTo(paused + 30);
    await updateSubscription(db, 'going', { state: 'active' });
    const enabled = publishing.last();
    await publishing.untilPublished(enabled + 30);
    await publishing.stop();
    await untilAllDispatched();
    await Promise.all(dispatchers.map((one) => one.stop()));

    const last = publishing.last();
    expect(await numbersOf('all')).toEqual(range(1, last));
    const got = await numbersOf('going');
    expect(got.filter((n) => n > paused && n <= paused + 30)).toEqual([]);
    expect(got.filter((n) => n > enabled)).toEqual(range(enabled + 1, last));
  });
});
