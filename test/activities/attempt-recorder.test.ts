import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AttemptRecorder, type LedgerEntry } from '../../activities/attempt-recorder.ts';
import { patiently } from '../../activities/attempt-records.ts';
import { listAttempts } from '../../src/database/attempts.ts';
import { type ForgeflowDatabase, isConnectionFault, openDatabase } from '../../src/database/connection.ts';
import { judgeAttempt } from '../../src/domain/delivery.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { freePort } from '../../src/free-port.ts';
import { cutBlocked, quietActivity, whileLocked } from '../support/batches.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { deliveryRow, insertBatch, type RecordedBatch, subscriptionRow } from '../support/records.ts';

let database: TestDatabase;
let db: ForgeflowDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
  db = database.db;
});
afterAll(() => database.drop());

function answer(statusCode: number, headers: Record<string, string> = {}): Outcome {
  return { kind: 'response', statusCode, headers, body: Buffer.from('noted'), truncated: false, durationMs: 1 };
}

function entryOf({ subscriptionId }: { subscriptionId: string }, deliveryId: string, outcome: Outcome): LedgerEntry {
  const sentAt = new Date();
  const verdict = judgeAttempt(outcome, sentAt.getTime(), sentAt.getTime());
  return { deliveryId, number: 1, before: { subscriptionId, trippedAt: null }, sentAt, outcome, verdict };
}

/** One attempt of each of its deliveries, or of those given. */
function entriesOf(batch: RecordedBatch, outcome: Outcome, ids = batch.ids): LedgerEntry[] {
  return ids.map((id) => entryOf(batch, id, outcome));
}

/** Runs inside of an activity, where faults are logged. */
async function withRecorder<T>(
  work: (recorder: AttemptRecorder) => Promise<T>,
  { breakerFailures = 1_000, of = db } = {},
): Promise<T> {
  return quietActivity().run(() => work(new AttemptRecorder({ db: of, breakerFailures })));
}

async function insertBatches(count: number, deliveries: number): Promise<RecordedBatch[]> {
  return Promise.all(Array.from({ length: count }, () => insertBatch(db, deliveries)));
}

async function statesOf({ ids }: { ids: string[] }): Promise<Set<string>> {
  return new Set(await Promise.all(ids.map(async (id) => (await deliveryRow(db, id)).state)));
}

describe('batches that write at once', () => {
  test('E14 D4: have all of their attempts written down, each with its log and its books', async () => {
    const good = await insertBatches(4, 5);
    const bad = await insertBatches(3, 2);
    await withRecorder((recorder) =>
      Promise.all([
        ...good.map((batch) => recorder.record(entriesOf(batch, answer(204)))),
        ...bad.map((batch) => recorder.record(entriesOf(batch, answer(503)))),
      ]),
    );
    for (const { ids, subscriptionId } of good) {
      for (const id of ids) {
        expect(await deliveryRow(db, id)).toMatchObject({ state: 'delivered', attempt_count: 1, carrier: null });
        expect(await listAttempts(db, id)).toMatchObject([{ status_code: 204, response_body: Buffer.from('noted') }]);
      }
      expect(await subscriptionRow(db, subscriptionId)).toMatchObject({
        consecutive_failures: 0,
        last_success_at: expect.any(Date) as Date,
      });
    }
    for (const { ids, subscriptionId } of bad) {
      for (const id of ids) {
        expect(await deliveryRow(db, id)).toMatchObject({ state: 'pending', started_at: null, attempt_count: 1 });
        expect(await listAttempts(db, id)).toMatchObject([{ status_code: 503 }]);
      }
      expect(await subscriptionRow(db, subscriptionId)).toMatchObject({
        consecutive_failures: 2,
        last_error: 'Bad HTTP response: 503',
      });
    }
  });

  test('E14: are told only when theirs is in the database, be it theirs that is written first or not', async () => {
    const batches = await insertBatches(4, 3);
    await withRecorder(async (recorder) => {
      const seen = batches.map(async (batch) => {
        await recorder.record(entriesOf(batch, answer(200)));
        return statesOf(batch);
      });
      expect(await Promise.all(seen)).toEqual(batches.map(() => new Set(['delivered'])));
    });
  });

  test('E14: may bring more than go into one statement, one batch alone too', async () => {
    const [large, ...others] = [await insertBatch(db, 250), await insertBatch(db, 120), await insertBatch(db, 120)];
    const last = await insertBatch(db, 1);
    await withRecorder((recorder) =>
      Promise.all([last, others[0], large, others[1]].map((one) => recorder.record(entriesOf(one, answer(200))))),
    );
    for (const batch of [large, ...others, last]) expect(await statesOf(batch)).toEqual(new Set(['delivered']));
  });

  test('E14: find it ready again after it had nothing to do', async () => {
    const batches = await insertBatches(3, 1);
    await withRecorder(async (recorder) => {
      for (const batch of batches) {
        await recorder.record(entriesOf(batch, answer(200)));
        expect(await statesOf(batch)).toEqual(new Set(['delivered']));
      }
      await recorder.record([]);
    });
  });
});

describe('an attempt that Postgres refuses', () => {
  test.each<[string, Outcome]>([
    ['the reason of a broken connection', { kind: 'connection_error', reason: 'broken\0off', durationMs: 1 }],
    ['the value of a header', answer(500, { 'x-a': 'a\0b' })],
    ['the name of a header', answer(500, { 'x\0a': 'b' })],
  ])(
    'E14: with a NUL in %s, is told to its own batch alone, and the others are written down',
    async (_where, outcome) => {
      const [first, before, refused, after] = await insertBatches(4, 2);
      await withRecorder(async (recorder) => {
        const [good, bad] = refused!.ids;
        const told = await Promise.allSettled([
          recorder.record(entriesOf(first!, answer(200))), // the others are written together while it is
          recorder.record(entriesOf(before!, answer(200))),
          recorder.record([...entriesOf(refused!, answer(200), [good!]), ...entriesOf(refused!, outcome, [bad!])]),
          recorder.record(entriesOf(after!, answer(500))),
        ]);
        expect(told.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
        expect((told[2] as PromiseRejectedResult).reason).toMatchObject({ code: '22P05' });
      });
      for (const batch of [first!, before!]) expect(await statesOf(batch)).toEqual(new Set(['delivered']));
      for (const id of after!.ids)
        expect(await deliveryRow(db, id)).toMatchObject({ state: 'pending', attempt_count: 1 });
      expect(await subscriptionRow(db, after!.subscriptionId)).toMatchObject({ consecutive_failures: 2 });
      for (const id of refused!.ids) {
        expect(await deliveryRow(db, id)).toMatchObject({
          state: 'pending',
          attempt_count: 0,
          carrier: refused!.batchId,
        });
        expect(await listAttempts(db, id)).toEqual([]);
      }
      expect(await subscriptionRow(db, refused!.subscriptionId)).toMatchObject({
        consecutive_failures: 0,
        last_success_at: null,
      });
    },
  );

  test('E14: keeps nothing that comes later', async () => {
    const [refused, later] = await insertBatches(2, 1);
    await withRecorder(async (recorder) => {
      const outcome: Outcome = { kind: 'connection_error', reason: '\0', durationMs: 1 };
      await expect(recorder.record(entriesOf(refused!, outcome))).rejects.toMatchObject({ code: '22P05' });
      await recorder.record(entriesOf(later!, answer(200)));
      await recorder.record(entriesOf(refused!, answer(200)));
    });
    for (const batch of [refused!, later!]) expect(await statesOf(batch)).toEqual(new Set(['delivered']));
  });
});

describe('a database that is away', () => {
  test('E14: is told to all whose attempts are not written down', async () => {
    const away = openDatabase(`postgres://nobody@127.0.0.1:${await freePort()}/none`);
    const told = await withRecorder(
      (recorder) =>
        Promise.allSettled(
          [1, 2, 3].map(() => recorder.record([entryOf({ subscriptionId: randomUUID() }, randomUUID(), answer(200))])),
        ),
      { of: away },
    );
    expect(told.map((one) => one.status === 'rejected' && isConnectionFault(one.reason))).toEqual([true, true, true]);
    await away.destroy();
  });

  test('E14: a connection that is cut is told to all whose attempts went over it, who may write them again', async () => {
    const [first, ...others] = await insertBatches(4, 2);
    const [locked] = others[0]!.ids;
    await withRecorder(async (recorder) => {
      const told = await whileLocked(db, sql`select from deliveries where id = ${locked} for update`, async () => {
        const all = Promise.allSettled(
          [first!, ...others].map((batch) => recorder.record(entriesOf(batch, answer(200)))),
        );
        await cutBlocked(db);
        return all;
      });
      expect(told.map((one) => (one.status === 'rejected' ? isConnectionFault(one.reason) : one.status))).toEqual([
        'fulfilled', // it was written while the others came
        ...[true, true, true],
      ]);
      for (const batch of others) expect(await eventually(() => statesOf(batch))).toEqual(new Set(['pending']));
      const { signal } = new AbortController();
      await Promise.all(others.map((batch) => patiently(() => recorder.record(entriesOf(batch, answer(200))), signal)));
    });
    for (const batch of [first!, ...others]) {
      expect(await statesOf(batch)).toEqual(new Set(['delivered']));
      for (const id of batch.ids) expect((await listAttempts(db, id)).length).toBe(1);
    }
  });
});

describe('the attempts to one subscription', () => {
  /** Each number of failures, or a success for 0, is a batch of its own; all come while the first is being written down. */
  async function booksAfter(runs: number[], refused: number[] = []) {
    const { subscriptionId } = await insertBatch(db, 1);
    const batches = await Promise.all(
      runs.map((count) => insertBatch(db, count || 1, { values: { subscription_id: subscriptionId } })),
    );
    await withRecorder(
      (recorder) =>
        Promise.allSettled(
          batches.map(({ ids }, n) => {
            const outcome = answer(runs[n] === 0 ? 200 : 500, refused.includes(n) ? { 'x-a': '\0' } : {});
            return recorder.record(ids.map((id) => entryOf({ subscriptionId }, id, outcome)));
          }),
        ),
      { breakerFailures: 5 },
    );
    return subscriptionRow(db, subscriptionId);
  }

  test('E6, E14: count in the order in which batches brought them: what failed after a success does, and nothing before', async () => {
    expect(await booksAfter([4, 0, 4])).toMatchObject({ state: 'active', consecutive_failures: 4 });
    expect(await booksAfter([1, 2, 0])).toMatchObject({ state: 'active', consecutive_failures: 0, last_error: null });
    expect(await booksAfter([0, 1, 0, 2, 1])).toMatchObject({ state: 'active', consecutive_failures: 3 });
  });

  test('E10, E14: trip the breaker together, where no success lies between', async () => {
    expect(await booksAfter([0, 2, 2, 1])).toMatchObject({ state: 'tripped', consecutive_failures: 5 });
    expect(await booksAfter([3, 2, 0])).toMatchObject({ state: 'active', consecutive_failures: 0, tripped_at: null });
  });

  test('E14: keep their order where one of the batches cannot be written', async () => {
    expect(await booksAfter([0, 4, 0, 3, 1], [3])).toMatchObject({ state: 'active', consecutive_failures: 1 });
    expect(await booksAfter([0, 4, 0, 1], [2])).toMatchObject({ state: 'tripped', consecutive_failures: 5 });
  });
});
