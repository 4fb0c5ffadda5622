import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import pg from 'pg';
import { validate, version } from 'uuid';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Publication, publish } from '../../src/bus/outbox.ts';
import { checkTopic } from '../../src/domain/topic-pattern.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';

const MEBIBYTE = 1024 * 1024;

let database: TestDatabase;
let application: pg.Client; // any program that knows nothing of forgeflow but its table
beforeAll(async () => {
  database = await cloneDatabase();
  application = new pg.Client({ connectionString: database.url });
  await application.connect();
});
afterAll(async () => {
  await application.end();
  await database.drop();
});

const countEvents = async () => (await database.db.selectFrom('events').select('id').execute()).length;
const eventRow = (id: string) => database.db.selectFrom('events').selectAll().where('id', '=', id).executeTakeFirst();

/** The version 7 of UUIDs begins with the time it was made, in ms. */
function timeOf(uuid: string): number {
  return Number.parseInt(uuid.replaceAll('-', '').slice(0, 12), 16);
}

describe('publishing', () => {
  test('E2: stores the event as one that is to be dispatched, its payload to the byte', async () => {
    const { db } = database;
    const json = '{ "b": 1,\n "a": 1.0, "a": "\\u00fc" }';
    const { eventId, duplicate } = await publish(db, { topic: 'a.b', data: json, json: true });
    expect(duplicate).toBe(false);
    expect(version(eventId)).toBe(7);
    expect(await eventRow(eventId)).toEqual({
      id: eventId,
      topic: 'a.b',
      payload: json,
      dedupe_key: null,
      dispatched_at: null,
      created_at: expect.any(Date) as Date,
    });
  });

  test('E2: in a transaction of one’s own, the event is there once that is committed, and never if it is rolled back', async () => {
    const { db } = database;
    const transaction = await db.startTransaction().execute();
    const { eventId } = await publish(transaction, { topic: 'a.b', data: 1 });
    expect(await eventRow(eventId)).toBeUndefined();
    await transaction.commit().execute();
    expect(await eventRow(eventId)).toMatchObject({ payload: '1' });

    const undone = await db.startTransaction().execute();
    const lost = await publish(undone, { topic: 'a.b', data: 2 });
    await undone.rollback().execute();
    expect(await eventRow(lost.eventId)).toBeUndefined();
  });

  test('E2: whatever JSON can say is stored as it was written', async () => {
    const { db } = database;
    const value = fc.jsonValue({ stringUnit: 'binary', maxDepth: 4 });
    await fc.assert(
      fc.asyncProperty(fc.oneof(value, fc.string({ unit: 'binary' })), async (data) => {
        const { eventId } = await publish(db, { topic: 'a.b', data });
        expect((await eventRow(eventId))?.payload).toBe(JSON.stringify(data));
      }),
      { numRuns: 200, examples: [['\u0000'], ['\ud800'], [null]] },
    );
  });

  test('D13: a payload of exactly 1 MiB is taken, whole', async () => {
    const json = JSON.stringify('ü'.repeat(MEBIBYTE / 2 - 1));
    expect(Buffer.byteLength(json)).toBe(MEBIBYTE);
    const { eventId } = await publish(database.db, { topic: 'a.b', data: json, json: true });
    expect((await eventRow(eventId))?.payload).toBe(json);
  });
});

describe('publishing again', () => {
  test('E2: an event id is taken once, however it is spelled; what came later changes nothing', async () => {
    const { db } = database;
    const id = randomUUID();
    expect(await publish(db, { topic: 'a.b', data: 1, id: id.toUpperCase() })).toEqual({
      eventId: id,
      duplicate: false,
    });
    const first = await eventRow(id);
    for (const spelling of [id, id.toUpperCase()]) {
      const again = await publish(db, { topic: 'c.d', data: 2, id: spelling });
      expect(again).toEqual({ eventId: id, duplicate: true });
    }
    expect(await eventRow(id)).toEqual(first);
  });

  test('E2: of many who publish the same id at once, one has published it', async () => {
    const { db } = database;
    const id = randomUUID();
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        publish(db, { topic: 'a.b', data: i, id: i % 2 === 0 ? id : id.toUpperCase() }),
      ),
    );
    expect(all.filter(({ duplicate }) => !duplicate).length).toBe(1);
    expect(new Set(all.map(({ eventId }) => eventId))).toEqual(new Set([id]));
    expect(await eventRow(id)).toMatchObject({ payload: String(all.findIndex(({ duplicate }) => !duplicate)) });
  });

  test.each([
    ['is a duplicate once that one is committed', 'commit', true],
    ['is the event itself once that one is rolled back', 'rollback', false],
  ] as const)('E2: an id that another transaction has just published %s', async (_, end, duplicate) => {
    const { db } = database;
    const id = randomUUID();
    const first = await db.startTransaction().execute();
    await publish(first, { topic: 'a.b', data: 1, id });
    const second = publish(db, { topic: 'a.b', data: 2, id });
    await eventually(async () => {
      const waiting = await application.query(`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like 'insert into "events"%'`);
      expect(waiting.rowCount).toBe(1);
    });
    await first[end]().execute();
    expect(await second).toEqual({ eventId: id, duplicate });
    expect(await eventRow(id)).toMatchObject({ payload: duplicate ? '1' : '2' });
  });

  test('E2: a dedupe key makes one event of two publications, whose id is the first one’s', async () => {
    const { db } = database;
    const dedupeKey = 'gitlab 5/žluťoučký kůň';
    const first = await publish(db, { topic: 'a.b', data: 1, dedupeKey });
    const again = await publish(db, { topic: 'a.b', data: 2, dedupeKey, id: randomUUID() });
    expect(again).toEqual({ eventId: first.eventId, duplicate: true });
    expect(await eventRow(first.eventId)).toMatchObject({ payload: '1', dedupe_key: dedupeKey });
    expect(await publish(db, { topic: 'a.b', data: 1, dedupeKey: `${dedupeKey}!` })).toMatchObject({
      duplicate: false,
    });
  });

  test('E2: of many who publish with the same dedupe key at once, one has published it', async () => {
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) => publish(database.db, { topic: 'a.b', data: i, dedupeKey: 'at once' })),
    );
    expect(all.filter(({ duplicate }) => !duplicate).length).toBe(1);
    expect(new Set(all.map(({ eventId }) => eventId)).size).toBe(1);
  });

  test('E2: events without a dedupe key are each an event of its own', async () => {
    const all = [1, 1, 1].map((data) => publish(database.db, { topic: 'a.b', data }));
    expect((await Promise.all(all)).map(({ duplicate }) => duplicate)).toEqual([false, false, false]);
  });
});

const good = { topic: 'a.b', data: {} };
const circular: Record<string, unknown> = {};
circular['self'] = circular;

test.each<[string, Publication, string | RegExp]>([
  ['D13: a payload over 1 MiB', { ...good, data: 'x'.repeat(MEBIBYTE) }, /^data: it is 1048578 bytes long; .*1 MiB/],
  [
    'D13: a payload over 1 MiB in bytes, not in characters',
    { ...good, data: JSON.stringify('ü'.repeat(MEBIBYTE / 2)), json: true },
    /^data: it is 1048578 bytes/,
  ],
  ['E2: text that is not JSON', { ...good, data: '{"a":', json: true }, /^data: it is not JSON/],
  ['E2: no text at all', { ...good, data: '', json: true }, /^data: it is not JSON/],
  ['E2: JSON text that has a NUL', { ...good, data: '"\u0000"', json: true }, /^data: it is not JSON/],
  ['E2: JSON text after a byte order mark', { ...good, data: '\ufeff{}', json: true }, /^data: it is not JSON/],
  ['E2: JSON text that is no string', { ...good, data: 5, json: true }, /^data: it cannot be written as JSON/],
  ['E2: a value that JSON does not know', { ...good, data: undefined }, /^data: it cannot be written as JSON/],
  ['E2: a function', { ...good, data: () => 1 }, /^data: it cannot be written as JSON/],
  ['E2: a value that contains itself', { ...good, data: circular }, /^data: it cannot be written as JSON/],
  ['E2: a big number', { ...good, data: { n: 1n } }, /^data: it cannot be written as JSON/],
  [
    'E2: JSON that is nested deeper than Postgres reads',
    { ...good, data: '['.repeat(MEBIBYTE / 2) + ']'.repeat(MEBIBYTE / 2), json: true },
    /^data: .*nested/,
  ],
  ['E3: an empty topic', { ...good, topic: '' }, /^topic: it is empty/],
  ['E3: an empty token', { ...good, topic: 'a..b' }, /^topic: token 2 /],
  ['E3: white space in the topic', { ...good, topic: 'a.b c' }, /^topic: token 2 /],
  ['E3: a wildcard in the topic', { ...good, topic: 'a.*' }, /^topic: token 2 .*wildcard/],
  ['E3: > in the topic', { ...good, topic: 'a.>' }, /^topic: token 2 .*wildcard/],
  ['E3: a topic that is too long', { ...good, topic: 'x'.repeat(256) }, /^topic: it has 256 characters; 255 at most/],
  ['E2: an id that is no UUID', { ...good, id: '42' }, /^id: "42" is not a UUID/],
  ['E2: an empty id', { ...good, id: '' }, /^id: "" is not a UUID/],
  ['E2: an empty dedupe key', { ...good, dedupeKey: '' }, /^dedupeKey: /],
  [
    'E2: a dedupe key too long for an index',
    { ...good, dedupeKey: 'x'.repeat(513) },
    /^dedupeKey: it has 513 characters; 1 to 512/,
  ],
  ['E2: a dedupe key with a NUL', { ...good, dedupeKey: 'a\u0000' }, /^dedupeKey: /],
])('%s is refused, and nothing is stored', async (_what, publication, message) => {
  const before = await countEvents();
  const error: unknown = await publish(database.db, publication).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ name: 'Refusal', message: expect.stringMatching(message) as string });
  expect(await countEvents()).toBe(before);
});

test('E2: a refusal leaves the transaction that it happened in as it was', async () => {
  const { db } = database;
  const eventId = await db.transaction().execute(async (transaction) => {
    await expect(publish(transaction, { topic: 'a..b', data: 1 })).rejects.toThrow('topic');
    return (await publish(transaction, { topic: 'a.b', data: 1 })).eventId;
  });
  expect(await eventRow(eventId)).toBeDefined();
});

describe('publishing by plain SQL', () => {
  const insert = (topic: unknown, payload: unknown) =>
    application.query<{ id: string }>('insert into events (topic, payload) values ($1, $2) returning id', [
      topic,
      payload,
    ]);

  test('E2: an event gets a UUID of version 7 that tells when it was published', async () => {
    const before = Date.now();
    const { rows } = await insert('app.order.paid', '{"n": 1}');
    const after = Date.now();
    const id = rows[0]!.id;
    expect(validate(id)).toBe(true);
    expect(version(id)).toBe(7);
    // Postgres rounds to ms where JavaScript cuts off.
    expect(timeOf(id)).toBeGreaterThanOrEqual(before);
    expect(timeOf(id)).toBeLessThanOrEqual(after + 1);
    expect(await eventRow(id)).toMatchObject({ topic: 'app.order.paid', payload: '{"n": 1}', dispatched_at: null });
  });

  test('E2: ids are all different, valid, and in the order of their time', async () => {
    const { rows } = await application.query<{ id: string }>(
      `insert into events (topic, payload) select 'app.many', n::text from generate_series(1, 5000) n returning id`,
    );
    const ids = rows.map(({ id }) => id);
    expect(new Set(ids).size).toBe(5_000);
    expect(ids.filter((id) => !validate(id) || version(id) !== 7)).toEqual([]);
    const times = ids.map(timeOf);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times.at(-1)).toBeGreaterThan(times[0]!);
  });

  test('E2: rolled back with the application’s own work', async () => {
    await application.query('begin');
    const { rows } = await insert('app.undone', '1');
    await application.query('rollback');
    expect(await eventRow(rows[0]!.id)).toBeUndefined();
  });

  test('E2: an id and a dedupe key of its own count as anywhere', async () => {
    const id = randomUUID();
    await application.query(
      `insert into events (id, topic, payload, dedupe_key) values ($1, 'app.keyed', '1', 'plain SQL')`,
      [id.toUpperCase()],
    );
    const known = { eventId: id, duplicate: true };
    expect(await publish(database.db, { topic: 'app.keyed', data: 1, id })).toEqual(known);
    expect(await publish(database.db, { topic: 'app.keyed', data: 1, dedupeKey: 'plain SQL' })).toEqual(known);
    await expect(
      application.query(`insert into events (topic, payload, dedupe_key) values ('app.keyed', '1', 'plain SQL')`),
    ).rejects.toMatchObject({ code: '23505' });
  });

  const TOPIC = 'events_topic_is_dotted_tokens';
  test.each<[string, unknown, unknown, string, string?]>([
    ['E3: an empty topic', '', '1', '23514', TOPIC],
    ['E3: an empty first token', '.a', '1', '23514', TOPIC],
    ['E3: an empty last token', 'a.', '1', '23514', TOPIC],
    ['E3: an empty token', 'a..b', '1', '23514', TOPIC],
    ['E3: the wildcard *', 'a.*', '1', '23514', TOPIC],
    ['E3: the wildcard >', 'a.>', '1', '23514', TOPIC],
    ['E3: * in a token', 'a.b*c', '1', '23514', TOPIC],
    ['E3: > in a token', 'a>b', '1', '23514', TOPIC],
    ['E3: a space', 'a b', '1', '23514', TOPIC],
    ['E3: a space at the end', 'a.b ', '1', '23514', TOPIC],
    ['E3: a line break', 'a\nb', '1', '23514', TOPIC],
    ['E3: a line break at the end', 'a.b\n', '1', '23514', TOPIC],
    ['E3: a topic after a line break', '*\na', '1', '23514', TOPIC],
    ['E3: a control character', 'a.\u0007', '1', '23514', TOPIC],
    ['E3: a no-break space', 'a\u00a0b', '1', '23514', TOPIC],
    ['E3: a topic over 255 characters', 'x'.repeat(256), '1', '22001'],
    ['E3: no topic', null, '1', '23502'],
    ['E2: no payload', 'a.b', null, '23502'],
    ['E2: an empty payload', 'a.b', '', '22P02'],
    ['E2: a payload that is no JSON', 'a.b', '{a: 1}', '22P02'],
    ['E2: a payload that breaks off', 'a.b', '{"a":', '22P02'],
    [
      'D13: a payload over 1 MiB',
      'a.b',
      JSON.stringify('x'.repeat(MEBIBYTE)),
      '23514',
      'events_payload_has_1_mib_at_most',
    ],
    [
      'D13: a payload over 1 MiB in bytes, not in characters',
      'a.b',
      JSON.stringify('ü'.repeat(MEBIBYTE / 2)),
      '23514',
      'events_payload_has_1_mib_at_most',
    ],
  ])('%s is refused by the table itself', async (_what, topic, payload, code, constraint) => {
    const before = await countEvents();
    await expect(insert(topic, payload)).rejects.toMatchObject({ code, ...(constraint && { constraint }) });
    expect(await countEvents()).toBe(before);
  });

  test.each([
    ['null', 'null'],
    ['a payload of exactly 1 MiB', JSON.stringify('x'.repeat(MEBIBYTE - 2))],
  ])('E2: %s is an event', async (_what, payload) => {
    const { rows } = await insert('app.edge', payload);
    expect((await eventRow(rows[0]!.id))?.payload).toBe(payload);
  });
});

describe('what a topic is, says the table as checkTopic does', () => {
  const isTopic = (text: string): boolean => {
    try {
      return checkTopic(text) === text;
    } catch {
      return false;
    }
  };

  test('E3: of any text', async () => {
    const isStored = async (topic: string): Promise<boolean> => {
      try {
        await application.query(`insert into events (topic, payload) values ($1, '1')`, [topic]);
        return true;
      } catch (error) {
        // A check, the length, or a NUL, which no text of Postgres' has.
        if (error instanceof pg.DatabaseError && /^(23514|22001|22021)$/.test(error.code ?? '')) return false;
        throw error;
      }
    };
    const seen = { taken: 0, refused: 0 };
    const tokens = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.constantFrom('a', 'b-1', 'událost', 'событие', '事件', 'घटना', 'حدث', '🎉', "'", '\\'),
      },
      { weight: 1, arbitrary: fc.constantFrom('', '*', '>', ' ', 'a b', 'a*', '\t', '\u0000', '\u3000') },
      { weight: 2, arbitrary: fc.string({ minLength: 1, maxLength: 3 }) },
      { weight: 1, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3 }) },
    );
    const text = fc.array(tokens, { maxLength: 5 }).map((all) => all.join('.'));
    await fc.assert(
      fc.asyncProperty(text, async (topic) => {
        const expected = isTopic(topic);
        seen[expected ? 'taken' : 'refused']++;
        expect(await isStored(topic)).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
    expect(seen.taken).toBeGreaterThan(200);
    expect(seen.refused).toBeGreaterThan(200);
  });

  // Classes of characters are a matter of the database's locale in Postgres, and must not be here.
  test('E3: of every single character', async () => {
    const check = await application.query<{ expression: string }>(
      `select pg_get_expr(conbin, conrelid) as expression from pg_constraint where conname = 'events_topic_is_dotted_tokens'`,
    );
    const { rows } = await application.query<{ code: number }>(`
      select code from (
        select code, 'a' || chr(code) || 'b' as topic from generate_series(1, 1114111) code
        where code not between 55296 and 57343
      ) one where not ${check.rows[0]!.expression}
    `);
    const refusedByTable = rows.map(({ code }) => code);
    const refusedByUs: number[] = [];
    for (let code = 1; code <= 1_114_111; code++) {
      if (code >= 55_296 && code <= 57_343) continue; // halves of surrogate pairs
      if (!isTopic(`a${String.fromCodePoint(code)}b`)) refusedByUs.push(code);
    }
    expect(refusedByTable).toEqual(refusedByUs);
    expect(refusedByUs.length).toBeGreaterThan(50);
  });
});
