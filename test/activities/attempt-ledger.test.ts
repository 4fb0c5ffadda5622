import { randomUUID } from 'node:crypto';
import { type AddressInfo, createServer } from 'node:net';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AttemptLedger } from '../../activities/attempt-ledger.ts';
import { AttemptRecorder, type LedgerEntry } from '../../activities/attempt-recorder.ts';
import { listAttempts } from '../../src/database/attempts.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { judgeAttempt } from '../../src/domain/delivery.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { deliveryRow, insertBatch, type RecordedBatch, subscriptionRow } from '../support/records.ts';

let database: TestDatabase;
let db: ForgeflowDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
  db = database.db;
});
afterAll(() => database.drop());

function entryOf({ subscriptionId }: RecordedBatch, deliveryId: string, statusCode: number): LedgerEntry {
  const sentAt = new Date();
  const body = Buffer.from('noted');
  const outcome: Outcome = { kind: 'response', statusCode, headers: {}, body, truncated: false, durationMs: 1 };
  const verdict = judgeAttempt(outcome, sentAt.getTime(), sentAt.getTime());
  return { deliveryId, number: 1, before: { subscriptionId, trippedAt: null }, sentAt, outcome, verdict };
}

/** Runs inside of an activity, where faults are logged. */
async function withLedger<T>(
  batchId: string,
  work: (ledger: AttemptLedger, abandon: () => void) => Promise<T>,
): Promise<T> {
  const abandoned = new AbortController();
  const { signal } = abandoned;
  const recorder = new AttemptRecorder({ db, breakerFailures: 5 });
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return environment.run(() =>
    work(
      new AttemptLedger({
        db,
        batchId,
        recorder,
        breakerFailures: 5,
        signal,
        onWritten: () => undefined,
        onFault: () => undefined,
      }),
      () => {
        abandoned.abort(new Error('nobody waits for it'));
      },
    ),
  );
}

const stateOf = async (id: string) => (await deliveryRow(db, id)).state;

describe('the ledger of a batch', () => {
  test('E14: an attempt is written down soon, while others of the batch are still on their way', async () => {
    const batch = await insertBatch(db, 2);
    await withLedger(batch.batchId, async (ledger) => {
      ledger.enter(entryOf(batch, batch.ids[0]!, 204));
      await expect.poll(() => stateOf(batch.ids[0]!)).toBe('delivered');
      expect(await stateOf(batch.ids[1]!)).toBe('pending');
      ledger.putBack(batch.ids[1]!);
      await expect.poll(async () => (await deliveryRow(db, batch.ids[1]!)).started_at).toBeNull();
      await ledger.close();
    });
  });

  test('E14 D4: at its end all is written down, of all subscriptions, each with its log and its books', async () => {
    const batchId = randomUUID();
    const [good, bad] = [await insertBatch(db, 40, { batchId }), await insertBatch(db, 4, { batchId })];
    await withLedger(batchId, async (ledger) => {
      for (const id of good.ids) ledger.enter(entryOf(good, id, 200));
      for (const id of bad.ids) ledger.enter(entryOf(bad, id, 500));
      await ledger.close();
    });
    for (const id of good.ids) {
      expect(await deliveryRow(db, id)).toMatchObject({ state: 'delivered', attempt_count: 1 });
      expect(await listAttempts(db, id)).toMatchObject([{ status_code: 200, response_body: Buffer.from('noted') }]);
    }
    for (const id of bad.ids)
      expect(await deliveryRow(db, id)).toMatchObject({
        state: 'pending',
        failure_detail: 'Bad HTTP response: 500',
        next_attempt_at: expect.any(Date) as Date,
        started_at: null,
      });
    expect(await subscriptionRow(db, good.subscriptionId)).toMatchObject({
      consecutive_failures: 0,
      last_success_at: expect.any(Date) as Date,
    });
    expect(await subscriptionRow(db, bad.subscriptionId)).toMatchObject({
      consecutive_failures: 4,
      state: 'active',
      last_error: 'Bad HTTP response: 500',
    });
  });

  test('E10, E14: failures of one batch trip the breaker as single ones do', async () => {
    const batch = await insertBatch(db, 5);
    await withLedger(batch.batchId, async (ledger) => {
      for (const id of batch.ids) ledger.enter(entryOf(batch, id, 503));
      await ledger.close();
    });
    expect(await subscriptionRow(db, batch.subscriptionId)).toMatchObject({
      state: 'tripped',
      consecutive_failures: 5,
      last_error: 'Bad HTTP response: 503',
      tripped_at: expect.any(Date) as Date,
      next_probe_at: expect.any(Date) as Date,
    });
  });

  test('D12, E14: a receiver that is gone ends all that is on its way to it, and nothing of the others', async () => {
    const batchId = randomUUID();
    const [gone, other] = [await insertBatch(db, 6, { batchId }), await insertBatch(db, 3, { batchId })];
    await withLedger(batchId, async (ledger) => {
      ledger.enter(entryOf(gone, gone.ids[0]!, 200));
      for (const id of gone.ids.slice(1, 4)) ledger.enter(entryOf(gone, id, 410));
      ledger.enter(entryOf(gone, gone.ids[4]!, 500));
      for (const id of other.ids) ledger.enter(entryOf(other, id, 200));
      await ledger.close();
    });
    expect(await Promise.all(gone.ids.map(stateOf))).toEqual(['delivered', ...Array<string>(5).fill('failed')]);
    expect((await deliveryRow(db, gone.ids[1]!)).failure_detail).toBe('Bad HTTP response: 410');
    expect((await deliveryRow(db, gone.ids[5]!)).failure_detail).toBe('Webhook deactivated');
    for (const id of gone.ids.slice(0, 5)) expect((await listAttempts(db, id)).length).toBe(1);
    expect((await subscriptionRow(db, gone.subscriptionId)).state).toBe('paused');
    expect(await Promise.all(other.ids.map(stateOf))).toEqual(['delivered', 'delivered', 'delivered']);
  });

  test('E14: what another batch was given meanwhile is not put back', async () => {
    const [batch, other] = [await insertBatch(db, 1), randomUUID()];
    await db.updateTable('deliveries').set({ carrier: other }).where('id', '=', batch.ids[0]!).execute();
    await withLedger(batch.batchId, async (ledger) => {
      ledger.putBack(batch.ids[0]!);
      await ledger.close();
    });
    expect(await deliveryRow(db, batch.ids[0]!)).toMatchObject({
      carrier: other,
      started_at: expect.any(Date) as Date,
    });
  });

  test('E14: what keeps it from writing is told at the end, and what it could not write is there to be made again', async () => {
    const batch = await insertBatch(db, 2);
    await withLedger(batch.batchId, async (ledger) => {
      ledger.enter(entryOf(batch, batch.ids[0]!, 200));
      await expect.poll(() => stateOf(batch.ids[0]!)).toBe('delivered');
      await sql`create function closed() returns trigger language plpgsql as $$ begin raise 'no more today'; end $$`.execute(
        db,
      );
      await sql`create trigger closed before insert on attempts for each row execute function closed()`.execute(db);
      try {
        ledger.enter(entryOf(batch, batch.ids[1]!, 200));
        await expect(ledger.close()).rejects.toThrow('no more today');
      } finally {
        await sql`drop function closed cascade`.execute(db);
      }
    });
    expect(await deliveryRow(db, batch.ids[1]!)).toMatchObject({ state: 'pending', attempt_count: 0 });
    expect(await deliveryRow(db, batch.ids[0]!)).toMatchObject({ state: 'delivered' });
  });

  test('E14: writes again where somebody else and it have blocked each other', async () => {
    const batch = await insertBatch(db, 2);
    const [first, second] = batch.ids.toSorted();
    const transaction = await db.startTransaction().execute();
    try {
      // Against the order in which all should lock many: the ledger has the first and wants the second, this the reverse.
      await sql`set local deadlock_timeout = '1min'`.execute(transaction); // it is the ledger that is broken off
      await sql`select from deliveries where id = ${second} for update`.execute(transaction);
      await withLedger(batch.batchId, async (ledger) => {
        for (const id of batch.ids) ledger.enter(entryOf(batch, id, 200));
        const closing = ledger.close();
        await expect
          .poll(async () => (await sql`select from pg_locks where not granted`.execute(db)).rows.length)
          .toBeGreaterThan(0);
        await sql`select from deliveries where id = ${first} for update`.execute(transaction);
        await transaction.commit().execute();
        await closing;
      });
    } finally {
      if (!transaction.isCommitted) await transaction.rollback().execute();
    }
    expect(await Promise.all(batch.ids.map(stateOf))).toEqual(['delivered', 'delivered']);
    for (const id of batch.ids) expect((await listAttempts(db, id)).length).toBe(1);
  });

  test('E9, E14: nobody waits for it any more: it gives up what it cannot write', async () => {
    const batch = await insertBatch(db, 1);
    await withLedger(batch.batchId, async (ledger, abandon) => {
      abandon();
      ledger.enter(entryOf(batch, batch.ids[0]!, 200));
      await expect(ledger.close()).rejects.toThrow('nobody waits for it');
    });
    expect(await deliveryRow(db, batch.ids[0]!)).toMatchObject({ state: 'pending' });
  });

  test.each<[string, Buffer]>([
    [
      'a header with bytes that are no UTF-8',
      Buffer.from('HTTP/1.1 500 E\r\nx-a: \xff\xfe\xc3(\xed\xa0\x80\r\n\r\n', 'latin1'),
    ],
    ['a header with a NUL', Buffer.from('HTTP/1.1 500 E\r\nx-a: a\0b\r\n\r\n', 'latin1')],
    ['a header whose name has a NUL', Buffer.from('HTTP/1.1 500 E\r\nx\0a: b\r\n\r\n', 'latin1')],
    ['a header named by what is no UTF-8', Buffer.from('HTTP/1.1 500 E\r\nx\xffa: b\r\n\r\n', 'latin1')],
    ['control characters', Buffer.from('HTTP/1.1 500 E\r\nx-a: \x01\x1b[31m\x7f\r\n\r\n', 'latin1')],
    ['a phrase with a NUL', Buffer.from('HTTP/1.1 500 \0\r\n\r\n', 'latin1')],
    ['the escape of a NUL', Buffer.from('HTTP/1.1 500 E\r\nx-a: \\u0000 \\ud800\r\n\r\n', 'latin1')],
    ['a body of NULs', Buffer.from('HTTP/1.1 500 E\r\ncontent-length: 4\r\n\r\n\0\0\xed\xa0', 'latin1')],
    [
      'a name that objects have already',
      Buffer.from('HTTP/1.1 500 E\r\n__proto__: x\r\nconstructor: y\r\n\r\n', 'latin1'),
    ],
  ])(
    'E12, E14: a receiver that answers with %s keeps nothing of the batch from being written down',
    async (_what, raw) => {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.once('data', () => socket.end(raw));
      });
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
      const sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs: 5_000 });
      const outcome = await sender.post({ url, headers: {}, body: '{}' });
      const batchId = randomUUID();
      const [nasty, other] = [await insertBatch(db, 1, { batchId }), await insertBatch(db, 1, { batchId })];
      await withLedger(batchId, async (ledger) => {
        ledger.enter({ ...entryOf(nasty, nasty.ids[0]!, 500), outcome });
        ledger.enter(entryOf(other, other.ids[0]!, 200));
        await ledger.close();
      });
      expect(await stateOf(other.ids[0]!)).toBe('delivered');
      expect((await listAttempts(db, nasty.ids[0]!)).length).toBe(1);
      await sender.close();
      server.close();
    },
  );

  test('E14: with nothing to write it closes at once', async () => {
    await withLedger(randomUUID(), (ledger) => ledger.close());
  });
});
