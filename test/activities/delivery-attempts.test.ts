import { randomBytes, randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { ActivityCancellationDetails } from '@temporalio/common';
import { DefaultLogger } from '@temporalio/worker';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AttemptRequest, type AttemptResult, createDeliveryAttempts } from '../../activities/delivery-attempts.ts';
import { listAttempts } from '../../src/database/attempts.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { endDelivery } from '../../src/database/deliveries.ts';
import { deleteSubscription, disableSubscription } from '../../src/database/subscriptions.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender, type Sender } from '../../src/egress/send.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { startReceiver, type Receiver, verify } from '../support/receiver.ts';
import { attemptParts, deliveryRow, insertPendingDelivery, subscriptionRow, testSealer } from '../support/records.ts';

let database: TestDatabase;
let db: ForgeflowDatabase;
let receiver: Receiver;
let sender: Sender;
beforeAll(async () => {
  [database, receiver] = await Promise.all([cloneDatabase(), startReceiver()]);
  db = database.db;
  sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs: 10_000 });
});
afterAll(async () => {
  await sender.close();
  await receiver.close();
  await database.drop();
});

const quiet = { logger: new DefaultLogger('ERROR') };
const now = () => new Date().toISOString();

function attempt(
  request: Omit<AttemptRequest, 'askedAt'> & { askedAt?: string },
  { environment = new MockActivityEnvironment({}, quiet), sealer = testSealer } = {},
): Promise<AttemptResult> {
  const activities = createDeliveryAttempts({ db, sender, sealer, ...attemptParts });
  return environment.run(() => activities.attemptDelivery({ askedAt: now(), ...request }));
}

const requestsOf = (id: string) => receiver.requests.filter(({ headers }) => headers['webhook-id'] === id);

describe('an attempt', () => {
  test('is sent, written down, and its outcome returned', async () => {
    const { deliveryId, subscriptionId, secret } = await insertPendingDelivery(db, receiver.url);
    const result = await attempt({ deliveryId, number: 1 });
    expect(result).toEqual({
      state: 'delivered',
      failureDetail: null,
      sentAt: expect.any(String) as string,
      nextAttemptAt: null,
    });
    expect(verify(requestsOf(deliveryId)[0]!, secret)).toEqual({ n: 1 });
    expect(await deliveryRow(db, deliveryId)).toMatchObject({
      state: 'delivered',
      attempt_count: 1,
      date_sent: new Date(result.sentAt!),
    });
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({
      last_success_at: new Date(result.sentAt!),
      consecutive_failures: 0,
    });
  });

  test('D2 is dated by the clock that is further on, so that skipped time counts', async () => {
    const { deliveryId } = await insertPendingDelivery(db, receiver.url.replace('127.0.0.1', '127.0.0.2'));
    const ahead = new Date(Date.now() + 7_200_000).toISOString();
    const first = await attempt({ deliveryId, number: 1, askedAt: ahead });
    expect(first).toMatchObject({ state: 'pending', sentAt: ahead });
    const second = await attempt({ deliveryId, number: 2, askedAt: new Date(0).toISOString() });
    expect(Math.abs(Date.parse(second.sentAt!) - Date.now())).toBeLessThan(10_000);
  });

  test('tells Temporal that it is alive', async () => {
    const held = await startReceiver({ answer: { delayMs: 2_500 } });
    const { deliveryId } = await insertPendingDelivery(db, held.url);
    const environment = new MockActivityEnvironment({}, quiet);
    let beats = 0;
    environment.on('heartbeat', () => (beats += 1));
    await attempt({ deliveryId, number: 1 }, { environment });
    expect(beats).toBe(1);
    await held.close();
  });

  test('D12 that is answered 410 disables the subscription', async () => {
    const gone = await startReceiver({ answer: 410 });
    const { deliveryId, subscriptionId } = await insertPendingDelivery(db, gone.url);
    expect(await attempt({ deliveryId, number: 1 })).toMatchObject({ state: 'failed' });
    expect((await subscriptionRow(db, subscriptionId)).state).toBe('paused');
    await gone.close();
  });

  test('counts for the subscription, but a fault in its books does not fail it', async () => {
    const failing = await startReceiver({ answer: 500 });
    const { deliveryId, subscriptionId } = await insertPendingDelivery(db, failing.url);
    for (const number of [1, 2]) await attempt({ deliveryId, number });
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({
      consecutive_failures: 2,
      last_error: 'Bad HTTP response: 500',
    });
    await sql`alter table subscriptions rename column last_error to last_error_away`.execute(db);
    try {
      expect(await attempt({ deliveryId, number: 3 })).toMatchObject({ state: 'pending' });
    } finally {
      await sql`alter table subscriptions rename column last_error_away to last_error`.execute(db);
    }
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ consecutive_failures: 2 });
    expect((await listAttempts(db, deliveryId)).length).toBe(3);
    await failing.close();
  });
});

describe('nothing is sent', () => {
  test('when an attempt of this number was sent before: its result is returned again', async () => {
    const failing = await startReceiver({ answer: 500 });
    const { deliveryId } = await insertPendingDelivery(db, failing.url);
    const first = await attempt({ deliveryId, number: 1 });
    expect(await attempt({ deliveryId, number: 1 })).toEqual(first);
    expect(failing.requests.length).toBe(1);
    expect(await attempt({ deliveryId, number: 2 })).toMatchObject({ state: 'pending' });
    expect(failing.requests.length).toBe(2);
    await failing.close();
  });

  test.each(['failed', 'cancelled'] as const)('when the delivery has %s', async (state) => {
    const { deliveryId } = await insertPendingDelivery(db, receiver.url);
    await endDelivery(db, deliveryId, state, 'for a reason');
    const expected = { state, failureDetail: 'for a reason', sentAt: null, nextAttemptAt: null };
    expect(await attempt({ deliveryId, number: 1 })).toEqual(expected);
    expect(requestsOf(deliveryId)).toEqual([]);
  });

  test('D8 when its subscription is paused', async () => {
    const { deliveryId, subscriptionId } = await insertPendingDelivery(db, receiver.url);
    await disableSubscription(db, subscriptionId);
    const expected = { state: 'failed', failureDetail: 'Webhook deactivated', sentAt: null, nextAttemptAt: null };
    expect(await attempt({ deliveryId, number: 1 })).toEqual(expected);
    expect(await deliveryRow(db, deliveryId)).toMatchObject({ state: 'failed', failure_detail: 'Webhook deactivated' });
    expect(requestsOf(deliveryId)).toEqual([]);
  });

  test('D8 when the delivery is gone', async () => {
    const expected = { state: 'deleted', failureDetail: null, sentAt: null, nextAttemptAt: null };
    expect(await attempt({ deliveryId: randomUUID(), number: 1 })).toEqual(expected);
  });

  test('D5 when a secret does not open: that is a fault of ours', async () => {
    const { deliveryId } = await insertPendingDelivery(db, receiver.url);
    const sealer = createSealer(randomBytes(32).toString('base64'));
    await expect(attempt({ deliveryId, number: 1 }, { sealer })).rejects.toMatchObject({
      name: 'ApplicationFailure',
      type: 'WebhookDeliveryRetry',
      nonRetryable: false,
      cause: undefined,
    });
    expect(requestsOf(deliveryId)).toEqual([]);
    expect(await deliveryRow(db, deliveryId)).toMatchObject({ state: 'pending', attempt_count: 0 });
  });
});

describe('while a request is in flight', () => {
  test('D8 its delivery goes with the subscription', async () => {
    const held = await startReceiver({
      answer: async () => {
        await deleteSubscription(db, `s-${subscriptionId}`);
        return 500;
      },
    });
    const { deliveryId, subscriptionId } = await insertPendingDelivery(db, held.url);
    expect(await attempt({ deliveryId, number: 1 })).toMatchObject({ state: 'deleted', sentAt: null });
    await held.close();
  });

  test.each([
    { why: 'the worker shuts down', details: { workerShutdown: true }, brokenOff: true },
    { why: 'Temporal gave the attempt to another', details: { timedOut: true }, brokenOff: true },
    { why: 'someone cancels the delivery', details: { cancelRequested: true }, brokenOff: false },
  ])('$why: broken off $brokenOff', async ({ details, brokenOff }) => {
    const held = await startReceiver({ answer: { delayMs: 400, status: 500 } });
    const { deliveryId } = await insertPendingDelivery(db, held.url);
    const environment = new MockActivityEnvironment({}, quiet);
    const result = attempt({ deliveryId, number: 1 }, { environment }).catch((error: unknown) => error);
    await held.waitForRequests(1);
    environment.cancel('CANCELLED', new ActivityCancellationDetails(details));
    expect(await result).toMatchObject(brokenOff ? { type: 'WebhookDeliveryRetry' } : { state: 'pending' });
    expect((await listAttempts(db, deliveryId)).length).toBe(brokenOff ? 0 : 1);
    await held.close();
  });
});
