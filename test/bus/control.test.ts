import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONTROL_TOPIC, createControl } from '../../src/bus/control.ts';
import { publishHealth } from '../../src/bus/health.ts';
import { publish } from '../../src/bus/outbox.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { recordingLogger } from '../support/recording-logger.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());

function control(db = database.db) {
  const { logger, lines } = recordingLogger();
  let stops = 0;
  const made = createControl({ db, logger, onStop: () => (stops += 1) });
  return { ...made, stops: () => stops, lines };
}

describe('the control topic', () => {
  test('E9: {"action":"stop"} asks for an orderly end, once, however often it is heard', () => {
    const { heard, stops } = control();
    heard('{"action":"stop"}');
    heard('{"action": "stop", "because": "of the weather"}');
    expect(stops()).toBe(1);
  });

  test.each([
    '{"action":"restart"}',
    '{"action":"STOP"}',
    '{"action":""}',
    '{"action":["stop"]}',
    '{"action":{"stop":true}}',
    '{}',
    '[]',
    '[{"action":"stop"}]',
    '"stop"',
    'null',
    '0',
    '',
    '{"action":"st', // cut off, as a notification of Postgres' is
    'stop',
  ])('E9: %s is ignored, and what comes after it is not', (payload) => {
    const { heard, stops, lines } = control();
    heard(payload);
    expect(stops()).toBe(0);
    expect(lines.filter(({ level }) => level !== 'DEBUG')).toEqual([]);
    heard('{"action":"stop"}');
    expect(stops()).toBe(1);
  });
});

describe('what was published while nobody listened', () => {
  // One connection does one thing after the other: what was asked of it before is over when it answers.
  const db = () => openDatabase(database.url, { maxConnections: 1 });
  const say = (data: unknown) => publish(database.db, { topic: CONTROL_TOPIC, data });

  test('E9: is obeyed once it listens again; what is older than the worker is not meant for it', async () => {
    const one = db();
    const allRead = () => sql`select pg_sleep(0.005)`.execute(one);
    await say({ action: 'stop' });
    const { catchUp, stops } = control(one);
    catchUp();
    await allRead();
    expect(stops()).toBe(0);
    await say({ action: 'something else' });
    await publish(database.db, { topic: 'another.topic', data: { action: 'stop' } });
    catchUp();
    await allRead();
    expect(stops()).toBe(0);
    await say({ action: 'stop' });
    for (let i = 0; i < 2; i++) {
      catchUp();
      await allRead();
      expect(stops()).toBe(1);
    }
    await one.destroy();
  });

  test('E9: a database that is away does no harm, and is asked again the next time', async () => {
    const one = db();
    const allRead = () => sql`select pg_sleep(0.005)`.execute(one);
    const { catchUp, stops } = control(one);
    catchUp();
    await allRead();
    await sql`alter table events rename to events_away`.execute(database.db);
    catchUp();
    await allRead();
    await sql`alter table events_away rename to events`.execute(database.db);
    await say({ action: 'stop' });
    expect(stops()).toBe(0);
    catchUp();
    await allRead();
    expect(stops()).toBe(1);
    await one.destroy();
  });
});

test('E9: health is an event with the name of the worker and the time', async () => {
  const before = Date.now();
  await publishHealth(database.db, '42@somewhere');
  const { payload, dispatched_at } = await database.db
    .selectFrom('events')
    .select(['payload', 'dispatched_at'])
    .where('topic', '=', 'system.webhook.health')
    .executeTakeFirstOrThrow();
  const data = JSON.parse(payload) as { worker: string; time: string };
  expect(data).toEqual({ worker: '42@somewhere', time: expect.any(String) as string });
  expect(new Date(data.time).toISOString()).toBe(data.time);
  expect(Math.abs(Date.parse(data.time) - before)).toBeLessThan(10_000);
  expect(dispatched_at).toBeNull(); // to be told like any other
});
