import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { GivenUp, Publisher } from '../../src/bus/publisher.ts';
import { publish } from '../../src/bus/outbox.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(() => sql`truncate events cascade`.execute(database.db));

const stored = () =>
  database.db.selectFrom('events').select(['id', 'topic', 'payload', 'dedupe_key']).orderBy('id').execute();

/** How many transactions have stored the events that there are. */
async function transactions(): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(distinct xmin::text)::int as count from events`.execute(
    database.db,
  );
  return rows[0]?.count ?? 0;
}

describe('many at once', () => {
  test('E2: are stored by few statements, each event as it was published', async () => {
    const publisher = new Publisher(database.db);
    const published = await Promise.all(
      Array.from({ length: 250 }, (_, n) => publisher.publish({ topic: 'app.many', data: { n, text: '\'\\"ž' } })),
    );
    expect(new Set(published.map(({ duplicate }) => duplicate))).toEqual(new Set([false]));
    const events = await stored();
    expect(events.map(({ id }) => id)).toEqual(published.map(({ eventId }) => eventId).toSorted());
    const numbers = events.map(({ payload }) => (JSON.parse(payload) as { n: number }).n);
    expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 250 }, (_, n) => n));
    expect(await transactions()).toBeLessThan(60);
  });

  test('E2: of which some are refused: those alone are, and say why', async () => {
    const publisher = new Publisher(database.db);
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    const ends = await Promise.allSettled([
      publisher.publish({ topic: 'app.first', data: 0 }), // goes at once; the others together
      publisher.publish({ topic: 'app.good', data: 1 }),
      publisher.publish({ topic: 'app..bad', data: 2 }),
      publisher.publish({ topic: 'app.deep', data: deep, json: true }),
      publisher.publish({ topic: 'app.good', data: 3 }),
    ]);
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected', 'fulfilled']);
    expect((ends[3] as PromiseRejectedResult).reason).toMatchObject({ name: 'Refusal', field: 'data' });
    expect((await stored()).map(({ payload }) => payload).toSorted()).toEqual(['0', '1', '3']);
  });

  test('E2: is one event whatever is published twice, under one id or one key, by however many', async () => {
    const event = fc.record({
      id: fc.option(fc.nat(3), { nil: undefined }),
      dedupeKey: fc.option(fc.nat(3), { nil: undefined }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(event, { maxLength: 12 }), { minLength: 1, maxLength: 3 }), async (all) => {
        await sql`truncate events cascade`.execute(database.db);
        const run = randomUUID().slice(0, -1);
        const results = await Promise.all(
          all.map(async (publications) => {
            const publisher = new Publisher(database.db);
            return Promise.all(
              publications.map(({ id, dedupeKey }) =>
                publisher.publish({
                  topic: 'app.twice',
                  data: 1,
                  ...(id === undefined ? {} : { id: `${run}${id}` }),
                  ...(dedupeKey === undefined ? {} : { dedupeKey: `key ${dedupeKey}` }),
                }),
              ),
            );
          }),
        );
        const fresh = results.flat().filter(({ duplicate }) => !duplicate);
        const ids = (await stored()).map(({ id }) => id);
        expect(fresh.map(({ eventId }) => eventId).toSorted()).toEqual(ids);
        for (const { eventId } of results.flat()) expect(ids).toContain(eventId);
      }),
      { numRuns: 30 },
    );
  });
});

test('E2: one that waits for somebody else’s transaction does not keep the others', async () => {
  const db = openDatabase(database.url);
  const publisher = new Publisher(db);
  const ours = await database.db.transaction().execute(async (theirs) => {
    await publish(theirs, { topic: 'app.theirs', data: 1, dedupeKey: 'the same' });
    const waiting = publisher.publish({ topic: 'app.ours', data: 2, dedupeKey: 'the same' });
    await publisher.publish({ topic: 'app.other', data: 3 });
    expect((await stored()).map(({ topic }) => topic)).toEqual(['app.other']);
    return { published: waiting };
  });
  expect(await ours.published).toMatchObject({ duplicate: true });
  expect((await stored()).map(({ topic }) => topic).toSorted()).toEqual(['app.other', 'app.theirs']);
  await db.destroy();
});

test('E13: what nobody waits for any more is not sent', async () => {
  const db = openDatabase(database.url, { maxConnections: 1 });
  const publisher = new Publisher(db);
  let isLate = false;
  const publishing = await db.connection().execute(() => {
    const late = publisher.publish({ topic: 'app.late', data: 1 }, () => isLate);
    late.catch(() => undefined);
    isLate = true;
    return Promise.resolve({ late });
  });
  await expect(publishing.late).rejects.toBeInstanceOf(GivenUp);
  await publisher.publish({ topic: 'app.next', data: 2 });
  expect((await stored()).map(({ topic }) => topic)).toEqual(['app.next']);
  await db.destroy();
});

test('E8: a database that is away is an error to each that waits, and the next are tried anew', async () => {
  const db = openDatabase(database.url.replace(/:\d+\//, ':1/'));
  const publisher = new Publisher(db);
  for (let round = 0; round < 2; round += 1) {
    const ends = await Promise.allSettled([1, 2, 3].map((n) => publisher.publish({ topic: 'app.away', data: n })));
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  }
  await db.destroy();
});
