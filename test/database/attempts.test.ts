import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AttemptRecord, listAttempts, recordAttempt } from '../../src/database/attempts.ts';
import { endDelivery, reopenDelivery } from '../../src/database/deliveries.ts';
import { judgeAttempt } from '../../src/domain/delivery.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { DEAD_URL } from '../support/deliveries.ts';
import { deliveryRow, insertPendingDelivery } from '../support/records.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());

const insert = async () => (await insertPendingDelivery(database.db, DEAD_URL)).deliveryId;

function response(statusCode: number): Outcome {
  const headers = { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'] };
  return { kind: 'response', statusCode, headers, body: Buffer.from([0, 255, 10]), truncated: true, durationMs: 12 };
}

function attemptOf(deliveryId: string, number: number, outcome: Outcome, sentAt = new Date()): AttemptRecord {
  return { deliveryId, number, sentAt, outcome, verdict: judgeAttempt(outcome, sentAt.getTime(), sentAt.getTime()) };
}

describe('recordAttempt', () => {
  test('keeps all of the outcome, to the byte', async () => {
    const { db } = database;
    const id = await insert();
    const sentAt = new Date();
    await recordAttempt(db, attemptOf(id, 1, response(500), sentAt));
    const refused: Outcome = { kind: 'connection_error', reason: 'connection refused', durationMs: 3 };
    await recordAttempt(db, attemptOf(id, 2, refused));
    const [answered, failed] = await listAttempts(db, id);
    expect(answered).toEqual({
      delivery_id: id,
      number: 1,
      sent_at: sentAt,
      duration_ms: 12,
      status_code: 500,
      connection_error: null,
      response_headers: { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'] },
      response_body: Buffer.from([0, 255, 10]),
      truncated: true,
    });
    expect(failed).toMatchObject({ status_code: null, connection_error: 'connection refused', response_body: null });
    expect(await deliveryRow(db, id)).toMatchObject({
      state: 'pending',
      failure_detail: 'Connection error: connection refused',
      attempt_count: 2,
      date_first_sent: sentAt,
      window_started_at: sentAt,
    });
  });

  test('twice for the same number changes nothing', async () => {
    const { db } = database;
    const id = await insert();
    const attempt = attemptOf(id, 1, response(500));
    const first = await recordAttempt(db, attempt);
    const row = await deliveryRow(db, id);
    expect(await recordAttempt(db, attempt)).toEqual(first);
    expect(await deliveryRow(db, id)).toEqual(row);
    expect((await listAttempts(db, id)).length).toBe(1);
  });

  test.each(['failed', 'cancelled'] as const)('of a failure leaves a delivery as it is that has %s', async (state) => {
    const { db } = database;
    const id = await insert();
    await endDelivery(db, id, state, 'for a reason');
    const standing = await recordAttempt(db, attemptOf(id, 1, response(500)));
    expect(standing).toEqual({ state, failureDetail: 'for a reason', nextAttemptAt: null });
    expect(await deliveryRow(db, id)).toMatchObject({ state, failure_detail: 'for a reason', attempt_count: 1 });
    expect((await listAttempts(db, id)).length).toBe(1);
  });

  test.each(['failed', 'cancelled'] as const)(
    'of a success is a fact, also for a delivery that has %s',
    async (state) => {
      const { db } = database;
      const id = await insert();
      await endDelivery(db, id, state, 'for a reason');
      const standing = await recordAttempt(db, attemptOf(id, 1, response(204)));
      expect(standing).toEqual({ state: 'delivered', failureDetail: null, nextAttemptAt: null });
    },
  );

  test('of a delivery that is gone is nothing', async () => {
    const attempt = attemptOf('01a2116b-4407-7039-971b-4a7414efd69b', 1, response(200));
    expect(await recordAttempt(database.db, attempt)).toBeUndefined();
  });

  test('after a redelivery opens a new window where that was wanted; the first date stays', async () => {
    const { db } = database;
    const id = await insert();
    const [first, second, third] = [new Date('2026-01-01'), new Date('2026-01-03'), new Date('2026-01-05')];
    await recordAttempt(db, attemptOf(id, 1, response(410), first));
    expect(await reopenDelivery(db, id, false)).toBe(true);
    expect(await reopenDelivery(db, id, false)).toBe(false); // it is pending now
    await recordAttempt(db, attemptOf(id, 2, response(410), second));
    expect(await deliveryRow(db, id)).toMatchObject({ window_started_at: first, date_sent: second });
    await reopenDelivery(db, id, true);
    await recordAttempt(db, attemptOf(id, 3, response(410), third));
    expect(await deliveryRow(db, id)).toMatchObject({
      window_started_at: third,
      date_sent: third,
      date_first_sent: first,
      attempt_count: 3,
    });
  });
});
