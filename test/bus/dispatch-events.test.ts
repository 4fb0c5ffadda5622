import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dispatchBatch } from '../../src/bus/dispatch-events.ts';
import { publish } from '../../src/bus/outbox.ts';
import { SubscriptionsCache } from '../../src/bus/subscriptions-cache.ts';
import { deleteSubscription, insertSubscription, updateSubscription } from '../../src/database/subscriptions.ts';
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
