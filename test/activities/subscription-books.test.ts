import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger, type Logger } from '@temporalio/worker';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type AttemptResult, createDeliveryAttempts } from '../../activities/delivery-attempts.ts';
import { keepBooksOfMany, type MadeAttempt } from '../../activities/subscription-books.ts';
import { listAttempts } from '../../src/database/attempts.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { insertEventFor } from '../../src/database/events.ts';
import { endDelivery } from '../../src/database/deliveries.ts';
import { disableSubscription } from '../../src/database/subscriptions.ts';
import { judgeAttempt } from '../../src/domain/delivery.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { EgressGate } from '../../src/egress/gate.ts';
import { createSender, type Sender } from '../../src/egress/send.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { type AnyAnswer, type Receiver, startReceiver } from '../support/receiver.ts';
import { attemptParts, deliveryRow, insertPendingDelivery, subscriptionRow, testSealer } from '../support/records.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const MINUTE = 60_000;

let database: TestDatabase;
let db: ForgeflowDatabase;
let sender: Sender;
beforeAll(async () => {
  database = await cloneDatabase();
  db = database.db;
  sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs: 10_000 });
});
afterAll(async () => {
  await sender.close();
  await database.drop();
});

const quiet: Logger = new DefaultLogger('ERROR');

function attempt(
  deliveryId: string,
  number = 1,
  { askedAt = new Date(), logger = quiet, parts = attemptParts } = {},
): Promise<AttemptResult> {
  const activities = createDeliveryAttempts({ db, sender, sealer: testSealer, ...parts });
  return new MockActivityEnvironment({}, { logger }).run(() =>
    activities.attemptDelivery({ deliveryId, number, askedAt: askedAt.toISOString() }),
  );
}

/** A receiver whose requests are held until each is answered by hand. */
async function startHolding(): Promise<Receiver & { answer: (index: number, answer: AnyAnswer) => void }> {
  const held: ((answer: AnyAnswer) => void)[] = [];
  const receiver = await startReceiver({
    answer: (_request, index) => new Promise((resolve) => (held[index] = resolve)),
  });
  return { ...receiver, answer: (index, answer) => held[index]?.(answer) };
}

/** Several deliveries to one subscription. */
async function insertDeliveries(url: string, count: number): Promise<{ subscriptionId: string; ids: string[] }> {
  const { subscriptionId, deliveryId } = await insertPendingDelivery(db, url);
  const ids = [deliveryId];
  while (ids.length < count) {
    const id = crypto.randomUUID();
    await insertEventFor(db, { id: crypto.randomUUID(), topic: 'a.b', payload: '{}' }, { id, subscriptionId });
    ids.push(id);
  }
  return { subscriptionId, ids };
}

describe('books', () => {
  test('E6: of many attempts that fail at once every one counts', async () => {
    const receiver = await startReceiver({ answer: 500 });
    const { subscriptionId, ids } = await insertDeliveries(receiver.url, 12);
    await Promise.all(ids.map((id) => attempt(id, 1, { parts: { ...attemptParts, breakerFailures: 1_000 } })));
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ consecutive_failures: 12, state: 'active' });
    await receiver.close();
  });

  test('E6: a success counts after failures that came in while it was on its way, also right after another success', async () => {
    const receiver = await startHolding();
    const { subscriptionId, ids } = await insertDeliveries(receiver.url, 3);
    const [first, slow, failing] = ids;
    const attempts = [attempt(first!)];
    await receiver.waitForRequests(1);
    receiver.answer(0, 200);
    await attempts[0];
    attempts.push(attempt(slow!));
    await receiver.waitForRequests(2);
    attempts.push(attempt(failing!));
    await receiver.waitForRequests(3);
    receiver.answer(2, 500);
    await attempts[2];
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ consecutive_failures: 1 });
    receiver.answer(1, 200);
    await attempts[1];
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ consecutive_failures: 0, last_error: null });
    await receiver.close();
  });

  test('E10: a success closes a breaker that tripped while it was on its way', async () => {
    const receiver = await startHolding();
    const { subscriptionId, ids } = await insertDeliveries(receiver.url, 2);
    const attempts = [attempt(ids[0]!)];
    await receiver.waitForRequests(1);
    attempts.push(attempt(ids[1]!, 1, { parts: { ...attemptParts, breakerFailures: 1 } }));
    await receiver.waitForRequests(2);
    receiver.answer(1, 500);
    await attempts[1];
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ state: 'tripped' });
    receiver.answer(0, 200);
    await attempts[0];
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ state: 'active', tripped_at: null });
    await receiver.close();
  });

  test.each([
    ['succeeds', 200, 'delivered'],
    ['fails', 500, 'pending'],
  ] as const)(
    'E6: a fault in them is logged and changes nothing for an attempt that %s',
    async (_how, answer, state) => {
      const receiver = await startReceiver({ answer });
      const { deliveryId, subscriptionId } = await insertPendingDelivery(db, receiver.url);
      const { logger, messages } = recordingLogger();
      await sql`
      create function books_are_closed() returns trigger language plpgsql as $$
      begin raise exception 'no books are kept today'; end $$
    `.execute(db);
      await sql`
      create trigger books_are_closed before update of consecutive_failures on subscriptions
      for each row execute function books_are_closed()
    `.execute(db);
      try {
        expect(await attempt(deliveryId, 1, { logger })).toMatchObject({ state });
      } finally {
        await sql`drop function books_are_closed cascade`.execute(db);
      }
      expect(messages('WARN', 'ERROR')).toEqual(['bookkeeping of a subscription failed']);
      expect(await deliveryRow(db, deliveryId)).toMatchObject({ state, attempt_count: 1 });
      expect((await listAttempts(db, deliveryId)).map(({ status_code }) => status_code)).toEqual([answer]);
      expect(await subscriptionRow(db, subscriptionId)).toMatchObject({
        consecutive_failures: 0,
        last_failure_at: null,
      });
      await receiver.close();
    },
  );
});

describe('books of many attempts', () => {
  /** One that was over at that second. */
  function made(subscriptionId: string, statusCode: number, second: number): MadeAttempt {
    const sentAt = new Date(Date.UTC(2026, 0, 1) + second * 1_000);
    const rest = { headers: {}, body: Buffer.alloc(0), truncated: false, durationMs: 0 };
    const outcome: Outcome = { kind: 'response', statusCode, ...rest };
    const verdict = judgeAttempt(outcome, sentAt.getTime(), sentAt.getTime());
    return { deliveryId: crypto.randomUUID(), before: { subscriptionId, trippedAt: null }, sentAt, outcome, verdict };
  }

  const keep = (attempts: MadeAttempt[], logger = quiet) =>
    new MockActivityEnvironment({}, { logger }).run(() => keepBooksOfMany(db, attempts, 5));

  const subscription = async () => (await insertPendingDelivery(db, 'https://example.com')).subscriptionId;

  test.each([
    ['no failure', [200, 200], 0, null, 'active'],
    ['failures alone', [500, 502, 503], 3, 'Bad HTTP response: 503', 'active'],
    ['a success after failures', [500, 500, 500, 500, 500, 500, 204], 0, null, 'active'],
    ['failures after a success', [500, 500, 500, 500, 204, 500, 503], 2, 'Bad HTTP response: 503', 'active'],
    ['as many as trip it', [204, 500, 500, 500, 500, 502], 5, 'Bad HTTP response: 502', 'tripped'],
    ['two failures around a success', [500, 204, 500], 1, 'Bad HTTP response: 500', 'active'],
  ])('E6, E14: %s', async (_what, codes, failures, lastError, state) => {
    const id = await subscription();
    await keep(codes.map((code, second) => made(id, code, second)));
    expect(await subscriptionRow(db, id)).toMatchObject({
      consecutive_failures: failures,
      last_error: lastError,
      state,
    });
  });

  test('E6, E14: any sequence, cut into batches anyhow, comes to what it comes to one by one', async () => {
    const codes = [500, 204, 500, 500, 204, 204, 502, 503, 500];
    const parted = [codes.length, 1, 2, 4].map(async (size) => {
      const id = await subscription();
      const attempts = codes.map((code, second) => made(id, code, second * 2));
      for (let at = 0; at < attempts.length; at += size) await keep(attempts.slice(at, at + size));
      const { consecutive_failures, last_error, last_failure_at, last_success_at, state } = await subscriptionRow(
        db,
        id,
      );
      return { consecutive_failures, last_error, last_failure_at, last_success_at, state };
    });
    const [whole, ...parts] = await Promise.all(parted);
    expect(whole).toMatchObject({ consecutive_failures: 3, last_error: 'Bad HTTP response: 500', state: 'active' });
    for (const part of parts) expect(part).toEqual(whole);
  });

  test('E6, E12, E14: those of several subscriptions are each its own', async () => {
    const [good, bad, mixed] = [await subscription(), await subscription(), await subscription()];
    const attempts = [0, 1, 2, 3, 4, 5].flatMap((second) => [
      made(bad, 500, second),
      made(good, 200, second),
      made(mixed, second % 2 === 0 ? 500 : 200, second),
    ]);
    await keep(attempts);
    expect(await subscriptionRow(db, good)).toMatchObject({ consecutive_failures: 0, state: 'active' });
    expect(await subscriptionRow(db, bad)).toMatchObject({ consecutive_failures: 6, state: 'tripped' });
    expect(await subscriptionRow(db, mixed)).toMatchObject({ consecutive_failures: 0, state: 'active' });
  });

  test('E6, E7, E14: a fault in those of one is logged and keeps nothing from the others', async () => {
    const [one, other] = [await subscription(), await subscription()];
    const { logger, messages } = recordingLogger();
    await sql`
      create function books_are_closed() returns trigger language plpgsql as $$
      begin raise exception 'no books are kept today'; end $$
    `.execute(db);
    await sql`
      create trigger books_are_closed before update on subscriptions
      for each row when (old.id = ${sql.lit(one)}) execute function books_are_closed()
    `.execute(db);
    try {
      await keep([made(one, 500, 0), made(other, 500, 1)], logger);
    } finally {
      await sql`drop function books_are_closed cascade`.execute(db);
    }
    expect(messages('WARN', 'ERROR')).toEqual(['bookkeeping of a subscription failed']);
    expect(await subscriptionRow(db, one)).toMatchObject({ consecutive_failures: 0 });
    expect(await subscriptionRow(db, other)).toMatchObject({ consecutive_failures: 1 });
  });
});

describe('the breaker', () => {
  test('E10: trips at the fifth failure; the next probe comes when that delivery is due', async () => {
    const receiver = await startReceiver({ answer: 503 });
    const { deliveryId, subscriptionId } = await insertPendingDelivery(db, receiver.url);
    for (const number of [1, 2, 3, 4]) await attempt(deliveryId, number);
    expect((await subscriptionRow(db, subscriptionId)).state).toBe('active');
    const { nextAttemptAt } = await attempt(deliveryId, 5);
    const failedAt = new Date(Date.parse(nextAttemptAt!) - 5 * MINUTE);
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({
      state: 'tripped',
      consecutive_failures: 5,
      tripped_at: failedAt,
      last_failure_at: failedAt,
      last_error: 'Bad HTTP response: 503',
      next_probe_at: new Date(nextAttemptAt!),
      probe_delivery_id: null,
    });
    await receiver.close();
  });

  test('E10: sends nothing before a probe is due, and makes the delivery wait; then it is the probe', async () => {
    const receiver = await startReceiver({ answer: 500 });
    const { subscriptionId, ids } = await insertDeliveries(receiver.url, 2);
    const [probe, other] = ids;
    const trippedAt = new Date();
    await db
      .updateTable('subscriptions')
      .set({ state: 'tripped', tripped_at: trippedAt, next_probe_at: new Date(Date.now() + MINUTE) })
      .where('id', '=', subscriptionId)
      .execute();
    const held = { state: 'pending', failureDetail: null, sentAt: null, nextAttemptAt: null };
    expect(await attempt(probe!)).toEqual(held);
    expect(await deliveryRow(db, probe!)).toMatchObject({ state: 'pending', started_at: null, attempt_count: 0 });
    expect(receiver.requests.length).toBe(0);

    const due = new Date(Date.now() + 2 * MINUTE);
    expect(await attempt(probe!, 1, { askedAt: due })).toMatchObject({ state: 'pending', sentAt: due.toISOString() });
    expect(await attempt(other!, 1, { askedAt: due })).toEqual(held);
    expect(receiver.requests.length).toBe(1);
    const { next_probe_at, probe_delivery_id } = await subscriptionRow(db, subscriptionId);
    expect(probe_delivery_id).toBeNull();
    expect(Math.abs(next_probe_at!.getTime() - due.getTime() - 5 * MINUTE)).toBeLessThan(5_000);
    await receiver.close();
  });

  test('E10: lets one probe at a time go out, of however many that wake at once', async () => {
    const receiver = await startHolding();
    const { subscriptionId, ids } = await insertDeliveries(receiver.url, 10);
    await db
      .updateTable('subscriptions')
      .set({ state: 'tripped', tripped_at: new Date(), next_probe_at: new Date() })
      .where('id', '=', subscriptionId)
      .execute();
    const attempts = ids.map((id) => attempt(id));
    await receiver.waitForRequests(1);
    // All but the one that is on its way have been told to wait by then.
    const waiting = db
      .selectFrom('deliveries')
      .select('id')
      .where('subscription_id', '=', subscriptionId)
      .where('started_at', 'is', null);
    let over = 0;
    for (const one of attempts) void one.then(() => (over += 1));
    await expect.poll(() => over).toBe(9);
    expect((await waiting.execute()).length).toBe(10);
    receiver.answer(0, 204);
    const results = await Promise.all(attempts);
    expect(results.filter(({ state }) => state === 'delivered').length).toBe(1);
    expect(receiver.requests.length).toBe(1);
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ state: 'active', consecutive_failures: 0 });
    await receiver.close();
  });
});

describe('an attempt that waits for a place', () => {
  const partsOf = (gate: EgressGate) => ({ ...attemptParts, gate });

  /** All places are taken, and an attempt waits for one. */
  async function waitingAttempt(url: string) {
    const gate = new EgressGate({ total: 1, perSubscription: 1 });
    const taken = await gate.enter('another', 1_000);
    const { deliveryId, subscriptionId } = await insertPendingDelivery(db, url);
    const looked = vi.spyOn(gate, 'enter'); // it has looked at what there is to send when it comes to the gate
    const result = attempt(deliveryId, 1, { parts: partsOf(gate) });
    await expect.poll(() => looked.mock.calls.length).toBe(1);
    return { gate, deliveryId, subscriptionId, result, leave: () => taken?.leave() };
  }

  test.each<[string, object, (of: { deliveryId: string; subscriptionId: string }) => Promise<unknown>]>([
    [
      'E10: whose breaker trips meanwhile',
      { state: 'pending', nextAttemptAt: null },
      ({ subscriptionId }) =>
        db
          .updateTable('subscriptions')
          .set({ state: 'tripped', next_probe_at: new Date(Date.now() + MINUTE) })
          .where('id', '=', subscriptionId)
          .execute(),
    ],
    [
      'D8: whose subscription is paused meanwhile',
      { state: 'failed', failureDetail: 'Webhook deactivated' },
      ({ subscriptionId }) => disableSubscription(db, subscriptionId),
    ],
    [
      'D6: whose delivery is cancelled meanwhile',
      { state: 'cancelled', failureDetail: 'by hand' },
      ({ deliveryId }) => endDelivery(db, deliveryId, 'cancelled', 'by hand'),
    ],
  ])('%s is not made', async (_what, expected, change) => {
    const receiver = await startReceiver();
    const { result, leave, ...of } = await waitingAttempt(receiver.url);
    await change(of);
    leave();
    expect(await result).toMatchObject({ ...expected, sentAt: null });
    expect(receiver.requests.length).toBe(0);
    await receiver.close();
  });

  test('E9: when the worker ends is put back, to be made by another', async () => {
    const receiver = await startReceiver();
    const { gate, deliveryId, result } = await waitingAttempt(receiver.url);
    gate.close();
    expect(await result).toEqual({ state: 'pending', failureDetail: null, sentAt: null, nextAttemptAt: null });
    expect(await deliveryRow(db, deliveryId)).toMatchObject({ state: 'pending', started_at: null, attempt_count: 0 });
    expect(receiver.requests.length).toBe(0);
    await receiver.close();
  });
});

test('D12: several that are answered 410 at the same time end the subscription once, and none of them fails', async () => {
  const receiver = await startHolding();
  const { subscriptionId, ids } = await insertDeliveries(receiver.url, 8);
  const attempts = ids.slice(0, 6).map((id) => attempt(id));
  await receiver.waitForRequests(6);
  for (let index = 0; index < 6; index++) receiver.answer(index, 410);
  for (const result of await Promise.all(attempts)) expect(result).toMatchObject({ state: 'failed' });
  for (const id of ids) expect(await deliveryRow(db, id)).toMatchObject({ state: 'failed' });
  for (const id of ids.slice(0, 6)) expect((await listAttempts(db, id)).length).toBe(1);
  expect((await subscriptionRow(db, subscriptionId)).state).toBe('paused');
  await receiver.close();
});
