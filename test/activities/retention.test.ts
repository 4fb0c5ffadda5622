import { ActivityCancellationDetails, ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createRetention, type Sweep } from '../../activities/retention.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { countRecords, DAY_MS, deleteAllRecords, insertOld } from '../database/retention-rows.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { recordingLogger } from '../support/recording-logger.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(() => deleteAllRecords(database.db));

const NOW = new Date();
const CUTOFF = new Date(NOW.getTime() - 30 * DAY_MS).toISOString();

function prepare({ info = {}, retentionDays = 30, db = database.db } = {}) {
  const recorded = recordingLogger();
  const environment = new MockActivityEnvironment(info, { logger: recorded.logger });
  const heartbeats: unknown[] = [];
  environment.on('heartbeat', (details) => heartbeats.push(details));
  const retention = createRetention({ db, retentionDays }, 10);
  const sweep = (): Promise<Sweep> => environment.run(() => retention.sweepOldDeliveries(NOW.toISOString()));
  const told = () => recorded.lines.filter(({ level }) => level === 'INFO');
  return { environment, heartbeats, sweep, told };
}

test('J12: deliveries go with their attempts, then their events, in chunks; what is pending stays; the counts are logged once', async () => {
  const { db } = database;
  await insertOld(db, { count: 23, daysOld: 31, state: 'delivered', attempts: 2 });
  await insertOld(db, { count: 4, daysOld: 31, state: 'pending', attempts: 1 });
  await insertOld(db, { count: 6, daysOld: 29, state: 'failed', attempts: 1 });
  await insertOld(db, { count: 7, daysOld: 31, state: null });
  const { sweep, heartbeats, told } = prepare();
  expect(await sweep()).toEqual({ deliveries: 23, events: 30, cutoff: CUTOFF });
  expect(await countRecords(db)).toEqual({ deliveries: 10, attempts: 10, events: 10 });
  // Three chunks of deliveries; of events four, since those of pending deliveries are looked at too.
  expect(heartbeats).toHaveLength(3 + 4);
  expect(heartbeats.at(1)).toEqual({ deliveries: 20, events: 0 });
  expect(heartbeats.at(-1)).toEqual({ deliveries: 23, events: 30 });
  expect(told()).toMatchObject([
    {
      level: 'INFO',
      message: 'what was older than its retention is deleted',
      meta: { deliveries: 23, events: 30, cutoff: CUTOFF },
    },
  ]);
});

test('J12: a sweep that finds nothing to delete logs nothing', async () => {
  await insertOld(database.db, { count: 3, daysOld: 29, state: 'delivered' });
  const { sweep, told } = prepare();
  expect(await sweep()).toMatchObject({ deliveries: 0, events: 0 });
  expect(told()).toEqual([]);
});

test('J12: the retention may be a fraction of a day', async () => {
  const { db } = database;
  await insertOld(db, { count: 2, daysOld: 0.3, state: 'delivered' });
  await insertOld(db, { count: 3, daysOld: 0.2, state: 'delivered' });
  expect(await prepare({ retentionDays: 0.25 }).sweep()).toMatchObject({ deliveries: 2 });
});

test('J12: one that is broken off in the middle is gone on with by another try, which knows what was deleted before', async () => {
  const { db } = database;
  await insertOld(db, { count: 45, daysOld: 31, state: 'delivered' });
  const first = prepare();
  first.environment.on('heartbeat', () => {
    if (first.heartbeats.length === 2)
      first.environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
  });
  // Not cancelled: Temporal is to try again, on another worker.
  const failure: unknown = await first.sweep().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApplicationFailure);
  expect(failure).toMatchObject({ type: 'SweepRetry', nonRetryable: false });
  expect(first.told()).toEqual([]);
  expect(await countRecords(db)).toMatchObject({ deliveries: 25, events: 45 });

  const second = prepare({ info: { attempt: 2, heartbeatDetails: first.heartbeats.at(-1) } });
  expect(await second.sweep()).toMatchObject({ deliveries: 45, events: 45 });
  expect(await countRecords(db)).toMatchObject({ deliveries: 0, events: 0 });
  expect(second.told()).toMatchObject([{ level: 'INFO', meta: { deliveries: 45, events: 45 } }]);
});

test('J12: one that somebody cancels ends as cancelled, after the chunk in hand', async () => {
  await insertOld(database.db, { count: 25, daysOld: 31, state: 'delivered' });
  const { environment, sweep } = prepare();
  environment.on('heartbeat', () => {
    environment.cancel();
  });
  await expect(sweep()).rejects.toBeInstanceOf(CancelledFailure);
  expect(await countRecords(database.db)).toMatchObject({ deliveries: 15 });
});

test('J12: a database that is away, or a fault in it, is tried again', async () => {
  const away = openDatabase('postgres://nobody:pa55word@127.0.0.1:1/nothing');
  const failure: unknown = await prepare({ db: away })
    .sweep()
    .catch((error: unknown) => error);
  await away.destroy();
  expect(failure).toMatchObject({ type: 'SweepRetry', nonRetryable: false });
  expect(String(failure)).not.toContain('pa55word');

  await sql`alter table job_events rename to job_events_away`.execute(database.db);
  await expect(prepare().sweep()).rejects.toMatchObject({ type: 'SweepRetry', nonRetryable: false });
  await sql`alter table job_events_away rename to job_events`.execute(database.db);
});
