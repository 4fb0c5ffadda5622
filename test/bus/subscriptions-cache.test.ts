import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SubscriptionsCache } from '../../src/bus/subscriptions-cache.ts';
import { deleteSubscription, insertSubscription, updateSubscription } from '../../src/database/subscriptions.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { recordingLogger } from '../support/recording-logger.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());

let cache: SubscriptionsCache;
let log: ReturnType<typeof recordingLogger>;
beforeEach(async () => {
  await sql`truncate subscriptions cascade`.execute(database.db);
  log = recordingLogger();
  cache = new SubscriptionsCache(log.logger);
});

async function subscribe(name: string, patterns: string[]): Promise<string> {
  const id = randomUUID();
  const sealed = Buffer.alloc(0);
  const url = 'https://example.com';
  await insertSubscription(database.db, { id, name, url, patterns, headersSealed: sealed, secretSealed: sealed });
  return id;
}

/** Who gets an event of the topic, by name. */
async function matches(topic: string): Promise<string[]> {
  const { matcher } = await cache.current(database.db);
  return [...matcher.match(topic)].map(({ name }) => name).toSorted();
}

describe('what is current', () => {
  test('E4: is what is committed, each time it is asked for, without anyone telling', async () => {
    const { db } = database;
    expect(await matches('a.b')).toEqual([]);
    await subscribe('one', ['a.*']);
    expect(await matches('a.b')).toEqual(['one']);
    await subscribe('two', ['b']);
    await updateSubscription(db, 'one', { patterns: ['c'] });
    expect([await matches('a.b'), await matches('b'), await matches('c')]).toEqual([[], ['two'], ['one']]);
    await updateSubscription(db, 'one', { state: 'paused' });
    expect(await matches('c')).toEqual([]);
    await updateSubscription(db, 'one', { state: 'active' });
    expect(await matches('c')).toEqual(['one']);
    await deleteSubscription(db, 'one');
    expect(await matches('c')).toEqual([]);
  });

  test('E4: is read within the transaction that asks', async () => {
    await subscribe('one', ['a']);
    expect(await matches('a')).toEqual(['one']);
    await database.db.transaction().execute(async (transaction) => {
      await updateSubscription(transaction, 'one', { patterns: ['b'] });
      const { matcher } = await cache.current(transaction);
      expect([...matcher.match('b')].map(({ name }) => name)).toEqual(['one']);
    });
  });

  test('E4: is not read again while nothing has changed', async () => {
    await subscribe('one', ['a']);
    const first = await cache.current(database.db);
    await updateSubscription(database.db, 'one', { last_error: 'x', consecutive_failures: 3 }); // its books
    expect(await cache.current(database.db)).toBe(first);
    await updateSubscription(database.db, 'one', { url: 'https://example.com/else' });
    expect(await cache.current(database.db)).not.toBe(first);
  });

  test('E10: a tripped subscription still wants its events', async () => {
    await subscribe('one', ['a']);
    await updateSubscription(database.db, 'one', { state: 'tripped' });
    expect(await matches('a')).toEqual(['one']);
  });

  test('E4: who asks at the same time as others reload gets what was committed before', async () => {
    await subscribe('one', ['n0']);
    for (let n = 1; n <= 20; n++) {
      const reloading = [cache.reload(database.db), cache.reload(database.db)];
      await updateSubscription(database.db, 'one', { patterns: [`n${n}`] });
      const asked = [cache.reload(database.db), matches(`n${n}`), matches(`n${n}`)];
      await Promise.all(reloading);
      expect(await Promise.all(asked.slice(1))).toEqual([['one'], ['one']]);
      await Promise.all(asked);
      expect(await matches(`n${n}`)).toEqual(['one']);
    }
  });
});

describe('a change of which no trace is left', () => {
  const triggers = (what: 'enable' | 'disable') =>
    sql`alter table subscriptions ${sql.raw(what)} trigger user`.execute(database.db);
  afterEach(() => triggers('enable'));

  test('E4: is found by a reload', async () => {
    await subscribe('one', ['a']);
    expect(await matches('a')).toEqual(['one']);
    await triggers('disable');
    await updateSubscription(database.db, 'one', { patterns: ['b'] });
    expect([await matches('a'), await matches('b')]).toEqual([['one'], []]);
    await cache.reload(database.db);
    expect([await matches('a'), await matches('b')]).toEqual([[], ['one']]);
  });
});

describe('malformed rows', () => {
  test.each<[string, string[] | string]>([
    ['no patterns', []],
    ['an empty pattern', ['']],
    ['an empty token', ['a..b']],
    ['> in the middle', ['a.>.b']],
    ['a good pattern beside a bad one', ['a', 'b*']],
    ['white space', ['a b']],
    ['no text', '{NULL}'],
  ])('E7: one with %s is logged, gets nothing, and keeps nothing from others', async (_what, patterns) => {
    const id = await subscribe('bad', ['a']);
    await subscribe('good', ['>']);
    await sql`update subscriptions set patterns = ${patterns}::text[] where id = ${id}`.execute(database.db);
    for (const topic of ['a', 'a.b', 'b.c']) expect(await matches(topic)).toEqual(['good']);
    expect(log.lines).toEqual([
      {
        level: 'ERROR',
        message: 'a malformed subscription gets no events',
        meta: { subscriptionId: id, name: 'bad', problem: expect.any(String) as string },
      },
    ]);
    await updateSubscription(database.db, 'bad', { patterns: ['a'] });
    expect(await matches('a')).toEqual(['bad', 'good']);
  });
});
