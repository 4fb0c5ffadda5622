import { randomBytes, randomUUID } from 'node:crypto';
import { sql, type Updateable } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { publish } from '../../src/bus/outbox.ts';
import { claimProbe, recordFailure, recordSuccesses } from '../../src/database/circuit-breaker.ts';
import { deleteSubscription, insertSubscription, updateSubscription } from '../../src/database/subscriptions.ts';
import type { SubscriptionTable } from '../../src/database/tables.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

const CHANGED = 'system.webhook.subscriptions_changed';

let database: TestDatabase;
let listener: pg.Client;
let onBarrier = (): void => undefined;
const heard: string[] = [];
beforeAll(async () => {
  database = await cloneDatabase();
  listener = new pg.Client({ connectionString: database.url });
  await listener.connect();
  listener.on('notification', ({ channel, payload = '' }) => {
    if (channel === 'barrier') onBarrier();
    else heard.push(payload === '' ? channel : `${channel}: ${payload}`);
  });
  for (const channel of ['forgeflow_events', 'forgeflow_subscriptions', 'forgeflow_control', 'barrier']) {
    await listener.query(`listen ${channel}`);
  }
});
afterAll(async () => {
  await listener.end();
  await database.drop();
});

/** What was notified meanwhile. Postgres delivers in the order of commits, so that nothing is still on its way then. */
async function heardDuring(work: () => Promise<unknown>): Promise<string[]> {
  const barrier = () =>
    new Promise<void>((resolve, reject) => {
      onBarrier = resolve;
      listener.query('notify barrier').catch(reject);
    });
  await barrier();
  heard.length = 0;
  await work();
  await barrier();
  return heard.toSorted();
}

describe('events', () => {
  const many = (topic: string) => sql`
    insert into events (topic, payload) select ${topic}, n::text from generate_series(1, 1000) n
  `;

  test('E2: an event is notified once, without its payload', async () => {
    expect(await heardDuring(() => publish(database.db, { topic: 'a.b', data: 'secret' }))).toEqual([
      'forgeflow_events',
    ]);
  });

  test('E2: a thousand events of one statement are one notification', async () => {
    expect(await heardDuring(() => many('a.b').execute(database.db))).toEqual(['forgeflow_events']);
  });

  test('E2: all statements of a transaction are one notification, once it is committed', async () => {
    const transaction = await database.db.startTransaction().execute();
    const before = await heardDuring(async () => {
      await publish(transaction, { topic: 'a.b', data: 1 });
      await many('a.b').execute(transaction);
      await publish(transaction, { topic: 'c', data: 2 });
    });
    expect(before).toEqual([]);
    expect(await heardDuring(() => transaction.commit().execute())).toEqual(['forgeflow_events']);
  });

  test('E2: what is rolled back is not notified', async () => {
    const transaction = await database.db.startTransaction().execute();
    const all = await heardDuring(async () => {
      await publish(transaction, { topic: 'a.b', data: 1 });
      await publish(transaction, { topic: 'system.webhook.control', data: { action: 'stop' } });
      await transaction.rollback().execute();
    });
    expect(all).toEqual([]);
  });

  test('E2: plain SQL of an application is notified like any other', async () => {
    const application = new pg.Client({ connectionString: database.url });
    await application.connect();
    const all = await heardDuring(() => application.query(`insert into events (topic, payload) values ('a', '1')`));
    await application.end();
    expect(all).toEqual(['forgeflow_events']);
  });

  test('E2: to mark events as dispatched is not notified', async () => {
    const { db } = database;
    expect(await heardDuring(() => sql`update events set dispatched_at = now()`.execute(db))).toEqual([]);
  });
});

describe('the control topic', () => {
  const control = (data: unknown) => publish(database.db, { topic: 'system.webhook.control', data });

  test('E9: its payload reaches everyone who listens', async () => {
    expect(await heardDuring(() => control({ action: 'stop' }))).toEqual([
      'forgeflow_control: {"action":"stop"}',
      'forgeflow_events',
    ]);
  });

  test('E9: each of many is heard', async () => {
    const insert = sql`
      insert into events (topic, payload)
      select 'system.webhook.control', format('{"action":"%s"}', n) from generate_series(1, 3) n
    `;
    expect(await heardDuring(() => insert.execute(database.db))).toEqual([
      'forgeflow_control: {"action":"1"}',
      'forgeflow_control: {"action":"2"}',
      'forgeflow_control: {"action":"3"}',
      'forgeflow_events',
    ]);
  });

  test('E9: a payload too long for a notification is stored all the same', async () => {
    const data = '🎉'.repeat(5_000); // Postgres refuses to notify of 8000 bytes and more
    let eventId = '';
    const all = await heardDuring(async () => ({ eventId } = await control(data)));
    expect(all.map((one) => one.slice(0, 24))).toEqual(['forgeflow_control: "🎉🎉', 'forgeflow_events']);
    const row = await database.db.selectFrom('events').select('payload').where('id', '=', eventId).executeTakeFirst();
    expect(row?.payload).toBe(JSON.stringify(data));
  });

  test.each(['system.webhook.controls', 'system.webhook', 'gitlab.system.webhook.control', 'System.webhook.control'])(
    'E9: %s is another topic',
    async (topic) => {
      expect(await heardDuring(() => publish(database.db, { topic, data: 1 }))).toEqual(['forgeflow_events']);
    },
  );
});

describe('subscriptions', () => {
  const create = (name: string) =>
    insertSubscription(database.db, {
      id: randomUUID(),
      name,
      url: 'https://example.com',
      patterns: ['a.>'],
      headersSealed: randomBytes(8),
      secretSealed: randomBytes(8),
    });

  const version = async () =>
    Number((await database.db.selectFrom('subscription_changes').select('version').executeTakeFirstOrThrow()).version);

  /** What changes of subscriptions were published since the last time. */
  async function published(): Promise<unknown[]> {
    const rows = await database.db.deleteFrom('events').where('topic', '=', CHANGED).returningAll().execute();
    expect(rows.filter(({ dispatched_at }) => dispatched_at !== null)).toEqual([]);
    return rows.map(({ payload }) => JSON.parse(payload) as unknown);
  }

  /** Everything that work on subscriptions made others hear, and know. */
  async function effectOf(work: () => Promise<unknown>) {
    await published();
    const before = await version();
    const all = await heardDuring(work);
    return { heard: all, versions: (await version()) - before, published: await published() };
  }

  const NOTHING = { heard: [], versions: 0, published: [] };
  /** The effect of one change. */
  const one = (subscription: string, change: string, state: string) => ({
    heard: ['forgeflow_events', 'forgeflow_subscriptions'],
    versions: 1,
    published: [{ subscription, change, state }],
  });

  let name: string;
  let id: string;
  beforeEach(async () => {
    name = `s ${randomUUID()}`;
    ({ id } = await create(name));
  });

  test('E4: to create and to delete one is told', async () => {
    const other = 'Žluťoučký "kůň" \\ 2';
    expect(await effectOf(() => create(other))).toEqual(one(other, 'created', 'active'));
    expect(await effectOf(() => deleteSubscription(database.db, other))).toEqual(one(other, 'deleted', 'active'));
  });

  test('E4: to delete one tells the state that it had', async () => {
    await updateSubscription(database.db, name, { state: 'paused' });
    expect(await effectOf(() => deleteSubscription(database.db, name))).toEqual(one(name, 'deleted', 'paused'));
  });

  test.each<[string, Updateable<SubscriptionTable>]>([
    ['its URL', { url: 'https://example.com/else' }],
    ['its patterns', { patterns: ['b.*'] }],
    ['its patterns, by one more', { patterns: ['a.>', 'b.*'] }],
    ['its headers', { headers_sealed: Buffer.from('x') }],
    [
      'its secret',
      {
        secret_sealed: Buffer.from('x'),
        previous_secret_sealed: Buffer.from('y'),
        previous_secret_expires_at: new Date(),
      },
    ],
    ['several things at once', { url: 'https://example.com/3', patterns: ['c'], last_error: 'x' }],
  ])('E4: to change %s is told', async (_, change) => {
    expect(await effectOf(() => updateSubscription(database.db, name, change))).toEqual(one(name, 'changed', 'active'));
  });

  test('E4: to rename one is told, by its new name', async () => {
    const renamed = `${name} 2`;
    expect(await effectOf(() => updateSubscription(database.db, name, { name: renamed }))).toEqual(
      one(renamed, 'changed', 'active'),
    );
  });

  test.each([
    ['active', 'paused', 'paused'],
    ['paused', 'active', 'enabled'],
    ['active', 'tripped', 'tripped'],
    ['tripped', 'active', 'enabled'],
    ['tripped', 'paused', 'paused'],
  ] as const)('E4, E10: from %s to %s is told as "%s"', async (from, to, change) => {
    await updateSubscription(database.db, name, { state: from });
    expect(await effectOf(() => updateSubscription(database.db, name, { state: to }))).toEqual(one(name, change, to));
  });

  test('E4: to enable and change at once is told once, as what weighs more', async () => {
    await updateSubscription(database.db, name, { state: 'paused' });
    const work = () => updateSubscription(database.db, name, { state: 'active', url: 'https://example.com/4' });
    expect(await effectOf(work)).toEqual(one(name, 'enabled', 'active'));
  });

  test.each<[string, Updateable<SubscriptionTable>]>([
    ['last_success_at', { last_success_at: new Date() }],
    ['last_failure_at', { last_failure_at: new Date() }],
    ['last_error', { last_error: 'Bad HTTP response: 500' }],
    ['consecutive_failures', { consecutive_failures: 3 }],
    ['tripped_at', { tripped_at: new Date() }],
    ['next_probe_at', { next_probe_at: new Date() }],
    ['probe_delivery_id', { probe_delivery_id: randomUUID() }],
    ['the state and URL that it has already', { state: 'active', url: 'https://example.com', patterns: ['a.>'] }],
  ])('E4, E6: to write %s is told nobody', async (_, change) => {
    expect(await effectOf(() => updateSubscription(database.db, name, change))).toEqual(NOTHING);
  });

  test('E4, E6, E10: of all attempts, those are told that trip the breaker and close it', async () => {
    const { db } = database;
    const at = new Date();
    const deliveryId = randomUUID();
    const fail = () =>
      recordFailure(db, { subscriptionId: id, deliveryId, at, error: 'x', threshold: 3, nextProbeAt: at });
    expect(await effectOf(() => recordSuccesses(db, [{ subscriptionId: id, at }]))).toEqual(NOTHING);
    expect(await effectOf(fail)).toEqual(NOTHING);
    expect(await effectOf(fail)).toEqual(NOTHING);
    expect(await effectOf(fail)).toEqual(one(name, 'tripped', 'tripped'));
    expect(await effectOf(() => claimProbe(db, { subscriptionId: id, deliveryId, at, leaseMs: 1 }))).toEqual(NOTHING);
    expect(await effectOf(fail)).toEqual(NOTHING);
    expect(await effectOf(() => recordSuccesses(db, [{ subscriptionId: id, at }]))).toEqual(
      one(name, 'enabled', 'active'),
    );
    expect(await effectOf(() => recordSuccesses(db, [{ subscriptionId: id, at }]))).toEqual(NOTHING);
  });

  test('E4: what is rolled back is told nobody', async () => {
    const transaction = await database.db.startTransaction().execute();
    const work = async () => {
      await updateSubscription(transaction, name, { state: 'paused' });
      await deleteSubscription(transaction, name);
      await transaction.rollback().execute();
    };
    expect(await effectOf(work)).toEqual(NOTHING);
  });

  test('E4: several changes of a transaction are one notification and a version each', async () => {
    const other = await create(`s ${randomUUID()}`);
    const work = () =>
      database.db.transaction().execute(async (transaction) => {
        await updateSubscription(transaction, name, { state: 'paused' });
        await updateSubscription(transaction, other.name, { url: 'https://example.com/5' });
      });
    expect(await effectOf(work)).toEqual({
      heard: ['forgeflow_events', 'forgeflow_subscriptions'],
      versions: 2,
      published: [...one(name, 'paused', 'paused').published, ...one(other.name, 'changed', 'active').published],
    });
  });

  test('E4: the version misses none of many changes at once', async () => {
    const { versions, published } = await effectOf(() =>
      Promise.all(Array.from({ length: 20 }, () => create(`s ${randomUUID()}`))),
    );
    expect(versions).toBe(20);
    expect(published.length).toBe(20);
  });

  test('E4: the version is there with the change, at its commit and not before', async () => {
    const before = await version();
    const transaction = await database.db.startTransaction().execute();
    await updateSubscription(transaction, name, { patterns: ['c'] });
    expect(await version()).toBe(before);
    await transaction.commit().execute();
    expect(await version()).toBe(before + 1);
  });
});
