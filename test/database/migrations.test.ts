import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { admitDeliveries } from '../../src/database/admission.ts';
import { recordAttempt } from '../../src/database/attempts.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { publish } from '../../src/bus/outbox.ts';
import { takeUndispatchedEvents } from '../../src/database/events.ts';
import { findHookToken, listDueHooks, readHook } from '../../src/database/gitlab-hooks.ts';
import { beginRun } from '../../src/database/gitlab-runs.ts';
import { countHooks } from '../../src/database/gitlab-status.ts';
import { migrateDown, migrateUp, pendingMigrations } from '../../src/database/migrate.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { addGroup, addRepository, block, install } from './hook-rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());

/** All columns, indexes, constraints, functions and triggers, in words. */
async function schema(): Promise<string[]> {
  const { rows } = await sql<{ line: string }>`
    select format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) as line
      from information_schema.columns where table_schema = 'public'
    union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
    union all select format('constraint %s %s', conrelid::regclass, pg_get_constraintdef(oid))
      from pg_constraint where connamespace = 'public'::regnamespace
    union all select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
    union all select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    order by line
  `.execute(database.db);
  return rows.map(({ line }) => line).filter((line) => !line.includes('kysely_migration'));
}

test('every migration can be taken back, leaves nothing behind, and be applied again with the same result', async () => {
  const { db } = database;
  expect(await pendingMigrations(db)).toEqual([]);
  const before = await schema();
  expect(before.length).toBeGreaterThan(60);

  const taken: string[] = [];
  for (let [step] = await migrateDown(db); step !== undefined; [step] = await migrateDown(db)) {
    expect(step.direction).toBe('down');
    taken.unshift(step.name);
  }
  expect(await schema()).toEqual([]);
  expect(await pendingMigrations(db)).toEqual(taken);

  expect((await migrateUp(db)).map(({ name, direction }) => [name, direction])).toEqual(
    taken.map((name) => [name, 'up']),
  );
  expect(await schema()).toEqual(before);
  expect(await migrateUp(db)).toEqual([]);
});

test('two processes that migrate at once do it once', async () => {
  const { db } = database;
  while ((await migrateDown(db)).length > 0);
  const other = openDatabase(database.url);
  const steps = await Promise.all([migrateUp(db), migrateUp(other)]);
  await other.destroy();
  expect(new Set(steps.flat().map(({ name }) => name)).size).toBe(steps.flat().length);
  expect(await pendingMigrations(db)).toEqual([]);
});

describe('a database of the version before the event bus', () => {
  const EVENT_BUS = '20261125-event-bus';
  const started = new Date('2026-01-01T00:00:00Z');

  /** What that version wrote: an event, its subscription, and its delivery in a state of its own. */
  async function recordOldDelivery(
    delivery: string,
  ): Promise<{ event: string; delivery: string; subscription: string }> {
    const { db } = database;
    const ids = { event: randomUUID(), delivery: randomUUID(), subscription: randomUUID() };
    await sql`
      insert into events (id, topic, payload, created_at) values (${ids.event}, 'gitlab.push', '{"n": 1}', ${started})
    `.execute(db);
    await sql`
      insert into subscriptions (id, name, url, patterns, headers_sealed, secret_sealed)
      values (${ids.subscription}, ${ids.subscription}, 'https://example.com', '{>}', '', '')
    `.execute(db);
    await sql`
      insert into deliveries (id, subscription_id, event_id, date_created, state, attempt_count, started_at, next_attempt_at)
      select ${ids.delivery}, ${ids.subscription}, ${ids.event}, ${started}, old.*
      from (values ${sql.raw(delivery)}) old
    `.execute(db);
    return ids;
  }

  beforeEach(async () => {
    const { db } = database;
    await migrateUp(db);
    while (!(await pendingMigrations(db)).includes(EVENT_BUS)) await migrateDown(db);
    await sql`truncate events, subscriptions cascade`.execute(db);
  });

  test('E2: events that have their deliveries already are not dispatched again', async () => {
    const { db } = database;
    const { event } = await recordOldDelivery(`('delivered', 1, now(), null::timestamptz)`);
    await migrateUp(db);
    const rows = await db.selectFrom('events').selectAll().execute();
    expect(rows).toEqual([
      {
        id: event,
        topic: 'gitlab.push',
        payload: '{"n": 1}',
        dedupe_key: null,
        dispatched_at: started,
        created_at: started,
      },
    ]);
    expect(await takeUndispatchedEvents(db, 10)).toEqual([]);
    expect(await publish(db, { topic: 'gitlab.push', data: 1, id: event })).toEqual({
      eventId: event,
      duplicate: true,
    });
    const { eventId } = await publish(db, { topic: 'gitlab.push', data: 1 });
    expect(await takeUndispatchedEvents(db, 10)).toMatchObject([{ id: eventId, topic: 'gitlab.push' }]);
  });

  test('E2: pending deliveries go on: one that was not started yet is, one that waits for its retry is left to it', async () => {
    const { db } = database;
    const fresh = await recordOldDelivery(`('pending', 0, null::timestamptz, null::timestamptz)`);
    const waiting = await recordOldDelivery(`('pending', 3, now(), now() + interval '1 hour')`);
    await recordOldDelivery(`('failed', 36, now(), null::timestamptz)`);
    await recordOldDelivery(`('cancelled', 0, null::timestamptz, null::timestamptz)`);
    await migrateUp(db);
    const express = { batches: 1, batchSize: 1, inFlight: 1, inFlightOfAll: 100_000, gatherMs: 0, backlog: 1 };
    const limits = { batch: 10, inFlight: 10, inFlightOnTrial: 1, probeLeaseMs: 1_000, express };
    const { admitted } = await admitDeliveries(db, limits);
    expect(admitted.map(({ id }) => id)).toEqual([fresh.delivery]);

    // The workflow of the other one is asleep in Temporal, and makes its attempt when it wakes.
    const standing = await recordAttempt(db, {
      deliveryId: waiting.delivery,
      number: 4,
      sentAt: new Date(),
      outcome: {
        kind: 'response',
        statusCode: 204,
        headers: {},
        body: Buffer.alloc(0),
        truncated: false,
        durationMs: 1,
      },
      verdict: { state: 'delivered', failureDetail: null, nextAttemptAt: null, disablesSubscription: false },
    });
    expect(standing).toMatchObject({ state: 'delivered' });
  });

  test('E4, E10: subscriptions are what they were, and count as never changed', async () => {
    const { db } = database;
    const { subscription } = await recordOldDelivery(`('pending', 0, null::timestamptz, null::timestamptz)`);
    const before = await sql<object>`select * from subscriptions`.execute(db);
    await migrateUp(db);
    const rows = await db.selectFrom('subscriptions').selectAll().execute();
    expect(rows).toEqual([
      { ...before.rows[0], id: subscription, next_probe_at: null, probe_delivery_id: null, lane: 'workflow' },
    ]);
    expect(await db.selectFrom('subscription_changes').selectAll().execute()).toEqual([{ version: '0' }]);
  });

  test('can be had again: nothing that it knew is lost on the way up and down', async () => {
    const { db } = database;
    await recordOldDelivery(`('pending', 3, now(), now() + interval '1 hour')`);
    const rows = async () => [
      (await sql`select * from events`.execute(db)).rows,
      (await sql`select * from subscriptions`.execute(db)).rows,
      (await sql`select * from deliveries`.execute(db)).rows,
    ];
    const before = await rows();
    await migrateUp(db);
    while (!(await pendingMigrations(db)).includes(EVENT_BUS)) await migrateDown(db);
    expect(await rows()).toEqual(before);
    // No trigger is left that would write to what is gone.
    await sql`update subscriptions set url = 'https://example.com/else'`.execute(db);
    await sql`delete from subscriptions`.execute(db);
    await sql`insert into events (id, topic, payload) values (gen_random_uuid(), 'a', 'x')`.execute(db);
  });
});

describe('a database of the version before the GitLab webhooks', () => {
  const GITLAB_WEBHOOKS = '20261126-gitlab-webhooks';
  const [byHand, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const oldHooks = async () =>
    (await sql`select id, token_hash, created_at from gitlab_hooks order by token_hash`.execute(database.db)).rows;
  const down = async () => {
    while (!(await pendingMigrations(database.db)).includes(GITLAB_WEBHOOKS)) await migrateDown(database.db);
  };

  beforeEach(async () => {
    const { db } = database;
    await sql`truncate events, subscriptions cascade`.execute(db); // of an older version, which took what is none
    await migrateUp(db);
    await down();
    await sql`truncate gitlab_hooks`.execute(db);
    await sql`insert into gitlab_hooks (id, token_hash) values (gen_random_uuid(), ${byHand}), (gen_random_uuid(), ${other})`.execute(
      db,
    );
  });

  test('E13: tokens go on opening the ingress on the way up and down, and no run of the installer touches them', async () => {
    const { db } = database;
    const before = await oldHooks();
    await migrateUp(db);
    expect(await oldHooks()).toEqual(before);
    expect((await findHookToken(db, byHand))?.hash).toEqual(byHand);
    expect(await listDueHooks(db, { runId: 'run', at: new Date(Date.now() + 60_000), limit: 10 })).toEqual([]);
    expect(await countHooks(db)).toMatchObject({ installed: 0, pending: 0, due: 0, nextDueAt: null });
    await down();
    expect(await oldHooks()).toEqual(before);
  });

  test('G6: can be had again: hooks that are installed go on opening it, what has no token is left out', async () => {
    const { db } = database;
    await migrateUp(db);
    const [installed, fresh, group] = [await addRepository(db), await addRepository(db), await addGroup(db)];
    const { tokenHash } = await install(db, installed.hookId);
    await block(db, fresh.hookId);
    await beginRun(db, { id: 'run', workflowId: 'installGitLabWebhooks', at: new Date() });
    await down();
    expect(await oldHooks()).toEqual(expect.arrayContaining([expect.objectContaining({ token_hash: tokenHash })]));
    expect(await oldHooks()).toHaveLength(3);
    await migrateUp(db);
    expect((await findHookToken(db, tokenHash))?.hash).toEqual(tokenHash);
    expect(await readHook(db, group.hookId)).toBeUndefined();
    // Tracked anew, its hook is another row's: the one that is left goes on letting in what GitLab sends meanwhile.
    expect((await addRepository(db, { path: installed.path })).hookId).not.toBe(installed.hookId);
  });
});

describe('a database of the version before the lanes', () => {
  const EXPRESS_LANE = '20261129-express-lane';
  const down = async () => {
    while (!(await pendingMigrations(database.db)).includes(EXPRESS_LANE)) await migrateDown(database.db);
  };
  const rows = async (table: 'subscriptions' | 'deliveries') =>
    (await sql`select * from ${sql.table(table)} order by id`.execute(database.db)).rows;

  beforeEach(async () => {
    await migrateUp(database.db);
    await down();
    await sql`truncate events, subscriptions cascade`.execute(database.db);
  });

  /** What that version wrote. @returns their ids, the deliveries' in the order of their states */
  async function recordOld(states: string[]): Promise<{ subscription: string; deliveries: string[] }> {
    const { db } = database;
    const subscription = randomUUID();
    await sql`
      insert into subscriptions (id, name, url, patterns, headers_sealed, secret_sealed)
      values (${subscription}, 'old', 'https://example.com', '{>}', '', '')
    `.execute(db);
    const deliveries: string[] = [];
    for (const state of states) {
      const [event, delivery] = [randomUUID(), randomUUID()];
      await sql`insert into events (id, topic, payload) values (${event}, 'a', '1')`.execute(db);
      await sql`
        insert into deliveries (id, subscription_id, event_id, date_created, state, started_at, next_attempt_at)
        select ${delivery}, ${subscription}, ${event}, now(), old.* from (values ${sql.raw(state)}) old
      `.execute(db);
      deliveries.push(delivery);
    }
    return { subscription, deliveries };
  }

  const WAITING = `('pending', null::timestamptz, null::timestamptz)`;
  const ASLEEP = `('pending', now(), now() + interval '1 hour')`;
  const OVER = `('delivered', now(), null::timestamptz)`;

  test('E14: subscriptions go on in lane workflow, and whatever is pending with the workflow that it has', async () => {
    const { db } = database;
    const { subscription, deliveries } = await recordOld([WAITING, ASLEEP, OVER]);
    const [waiting, asleep, over] = deliveries;
    await migrateUp(db);
    expect(await rows('subscriptions')).toMatchObject([{ id: subscription, lane: 'workflow' }]);
    const carriers = await db.selectFrom('deliveries').select(['id', 'carrier']).execute();
    expect(Object.fromEntries(carriers.map(({ id, carrier }) => [id, carrier]))).toEqual({
      [waiting!]: waiting, // it may have one that was held back, and waits for a word
      [asleep!]: asleep,
      [over!]: null,
    });
    await db.updateTable('subscriptions').set({ lane: 'express' }).execute();
    const express = { batches: 1, batchSize: 10, inFlight: 10, inFlightOfAll: 100_000, gatherMs: 0, backlog: 1 };
    const limits = { batch: 10, inFlight: 10, inFlightOnTrial: 10, probeLeaseMs: 1_000, express };
    const { admitted, batches } = await admitDeliveries(db, limits);
    expect([admitted.map(({ id }) => id), batches]).toEqual([[waiting], []]);
  });

  test('E14: can be had again: what went by batch goes on there in workflows', async () => {
    const { db } = database;
    await recordOld([WAITING, ASLEEP, OVER]);
    const before = [await rows('subscriptions'), await rows('deliveries')];
    await migrateUp(db);
    await db.updateTable('subscriptions').set({ lane: 'express' }).execute();
    await db.updateTable('deliveries').set({ carrier: randomUUID() }).execute();
    await down();
    expect([await rows('subscriptions'), await rows('deliveries')]).toEqual(before);
  });

  test('E4, E14: a change of the lane is told like any other, there and back', async () => {
    const { db } = database;
    const version = async () =>
      (await sql<{ version: string }>`select version from subscription_changes`.execute(db)).rows[0]!.version;
    await recordOld([]);
    await migrateUp(db);
    const before = BigInt(await version());
    await sql`update subscriptions set lane = 'auto'`.execute(db);
    const told = await db.selectFrom('events').select('topic').execute();
    expect(told.map(({ topic }) => topic)).toContain('system.webhook.subscriptions_changed');
    await sql`update subscriptions set lane = 'auto', consecutive_failures = 1`.execute(db); // no change but of the books
    expect((await db.selectFrom('events').select('topic').execute()).length).toBe(told.length);
    expect(BigInt(await version())).toBe(before + 1n);
    await down();
    await sql`update subscriptions set url = 'https://example.com/else'`.execute(db); // its trigger is there, and knows no lane
    expect((await sql`select from events`.execute(db)).rows.length).toBe(told.length + 1);
  });

  test.each(['fast', '', 'Express', null])('E14: there is no lane %j', async (lane) => {
    const { db } = database;
    await recordOld([]);
    await migrateUp(db);
    await expect(sql`update subscriptions set lane = ${lane}`.execute(db)).rejects.toThrow(/lane/);
  });
});
