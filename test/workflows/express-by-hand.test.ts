import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilClosed, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import {
  batchesTo,
  deliveriesOf,
  expressSleeper,
  hasOwnWorkflow,
  publishNumbers,
  subscribeExpress,
  untilBatchesEnded,
  untilContinued,
  untilCount,
  untilOver,
} from '../support/express.ts';
import { activitiesOf } from '../support/history.ts';
import { idsOf, startHoldingReceiver, untilNoMoreCome } from '../support/holding-receiver.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

const HOUR = 3_600_000;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    timeoutMs: 10_000,
    intervals: { poll: 100 },
    settings: { BREAKER_FAILURES: '1000' }, // it would hold back most of what fails here
  });
});
afterAll(() => environment.stop());

/** Long enough for an attempt too many to be made. */
const aMoment = () => sleep(700);
const attemptsOf = (receiver: Receiver) => receiver.requests.map(({ headers }) => headers['x-forgeflow-attempt']);

describe('D6 retry in the express lane', () => {
  test('E14 D6: of one that waits for attempt 2 makes that now, in its own workflow', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: (_request, index) => (index === 0 ? 500 : 200) });
    const delivery = await expressSleeper(environment, receiver.url);
    await forgeflow.deliveries.retry(delivery.id);
    expect(await delivery.handle.result()).toMatchObject({ state: 'delivered', attemptCount: 2 });
    expect(await activitiesOf(delivery.handle)).toBe(1);
    expect(attemptsOf(receiver)).toEqual(['1', '2']);
    await receiver.close();
  });

  test('E14 D6: of one that is in a batch just now shows it, and makes no attempt more', async () => {
    const { forgeflow } = environment;
    const receiver = await startHoldingReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, 3);
    await receiver.waitForRequests(3);
    for (const { id } of deliveries) {
      expect(await forgeflow.deliveries.retry(id)).toMatchObject({ id, pending: true, attemptCount: 0 });
    }
    receiver.letGo(200);
    for (const delivery of deliveries) {
      expect(await untilOver(forgeflow, delivery)).toMatchObject({ state: 'delivered', attemptCount: 1 });
    }
    await aMoment();
    expect(receiver.requests.length).toBe(3);
    for (const delivery of deliveries) expect(await hasOwnWorkflow(delivery)).toBe(false);
    await receiver.close();
  });

  test('E14 D6: of one that failed in a batch a moment ago makes one attempt more, whoever gives it its workflow', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 500 });
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, 8);
    const retried = await Promise.all(
      deliveries.map(async ({ id }) => {
        await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 1);
        return forgeflow.deliveries.retry(id);
      }),
    );
    for (const { id } of retried) await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 2);
    await untilContinued(environment, deliveries);
    await aMoment();
    expect(attemptsOf(receiver).toSorted()).toEqual(
      [1, 2].flatMap((number) => Array.from({ length: 8 }, () => String(number))),
    );
    for (const { handle } of deliveries) await handle.terminate();
    await receiver.close();
  });
});

describe('D6 cancel in the express lane', () => {
  const CANCELLED = { state: 'cancelled', successful: false, failureDetail: 'Cancelled by hand', nextAttemptAt: null };

  test('E14 D6: of one that waits to be sent: it is not', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    // A tripped subscription holds back what waits.
    const trip = (state: 'tripped' | 'active') =>
      database.db
        .updateTable('subscriptions')
        .set({ state, next_probe_at: state === 'tripped' ? new Date(Date.now() + HOUR) : null })
        .where('id', '=', subscription.id)
        .execute();
    await trip('tripped');
    const [cancelled, other] = await publishNumbers(environment, subscription, 2);
    expect(await forgeflow.deliveries.cancel(cancelled!.id)).toMatchObject({ ...CANCELLED, attemptCount: 0 });
    await forgeflow.subscriptions.enable(subscription.name);
    await untilOver(forgeflow, other!);
    expect(await forgeflow.deliveries.show(cancelled!.id)).toMatchObject({ ...CANCELLED, attempts: [] });
    expect(idsOf(receiver.requests)).toEqual([other!.id]);
    expect(await hasOwnWorkflow(cancelled!)).toBe(false);
    await receiver.close();
  });

  test('E14 D6: of one that is in a batch and waits for its place there: it is not sent', async () => {
    const { forgeflow } = environment;
    const receiver = await startHoldingReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, 40);
    await receiver.waitForRequests(1);
    const sent = await untilNoMoreCome(receiver);
    const waiting = deliveries.filter(({ id }) => !sent.has(id));
    expect(waiting.length).toBeGreaterThan(10);
    for (const { id } of waiting) await forgeflow.deliveries.cancel(id);
    await sleep(300); // longer than what was read of a delivery holds
    receiver.letGo(200);
    await untilCount(forgeflow, subscription.name, 'delivered', sent.size);
    await untilBatchesEnded(forgeflow, subscription.name);
    for (const { id } of waiting) expect(await forgeflow.deliveries.show(id)).toMatchObject(CANCELLED);
    expect(receiver.requests.length).toBe(sent.size);
    await receiver.close();
  });

  test.each([
    [200, 'delivered'],
    [500, 'cancelled'],
  ] as const)(
    'E14 D6: of one that is on its way in a batch: its answer, %i, is awaited and decides',
    async (answer, state) => {
      const { forgeflow } = environment;
      const receiver = await startHoldingReceiver();
      const subscription = await subscribeExpress(environment, receiver.url);
      const [delivery] = await publishNumbers(environment, subscription, 1);
      await receiver.waitForRequests(1);
      await forgeflow.deliveries.cancel(delivery!.id);
      receiver.letGo(answer);
      const shown = await untilDelivery(forgeflow, delivery!.id, ({ attemptCount }) => attemptCount === 1);
      expect(shown).toMatchObject({ state, nextAttemptAt: null, attempts: [{ statusCode: answer }] });
      await aMoment();
      expect(await forgeflow.deliveries.show(delivery!.id)).toMatchObject({ state, attemptCount: 1 });
      expect(await hasOwnWorkflow(delivery!)).toBe(false);
      await receiver.close();
    },
  );

  test('E14 D6: of one that is on its way in a batch, and queued again at once: that request is the attempt', async () => {
    const { forgeflow } = environment;
    const receiver = await startHoldingReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const [delivery] = await publishNumbers(environment, subscription, 1);
    await receiver.waitForRequests(1);
    await forgeflow.deliveries.cancel(delivery!.id);
    await forgeflow.deliveries.redeliver(delivery!.id);
    await sleep(300); // relays look around
    receiver.letGo(200);
    const { attempts } = await untilDelivery(forgeflow, delivery!.id, ({ state }) => state === 'delivered');
    expect(attempts.map(({ number, statusCode }) => [number, statusCode])).toEqual([[1, 200]]);
    expect(receiver.requests.length).toBe(1);
    await receiver.close();
  });

  test('E14 D6: of one that waits for attempt 2 ends its workflow', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 500 });
    const delivery = await expressSleeper(environment, receiver.url);
    await forgeflow.deliveries.cancel(delivery.id);
    expect(await untilClosed(delivery)).toBe('COMPLETED');
    expect(await forgeflow.deliveries.show(delivery.id)).toMatchObject({ ...CANCELLED, attemptCount: 1 });
    expect(receiver.requests.length).toBe(1);
    await receiver.close();
  });
});

describe('D6 redelivery in the express lane', () => {
  test('E14 D6: of a delivered one goes in a batch once more, as attempt 2 of the same webhook-id', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const [delivery] = await publishNumbers(environment, subscription, 1);
    const { id } = delivery!;
    const before = await untilOver(forgeflow, delivery!);
    await untilBatchesEnded(forgeflow, subscription.name); // or it would take that one too
    await forgeflow.deliveries.redeliver(id);
    const after = await untilDelivery(forgeflow, id, ({ attemptCount, pending }) => attemptCount === 2 && !pending);
    expect(after).toMatchObject({
      state: 'delivered',
      dateCreated: before.dateCreated,
      dateFirstSent: before.dateFirstSent,
      attempts: [{ number: 1 }, { number: 2 }],
    });
    expect(idsOf(receiver.requests)).toEqual([id, id]);
    expect(attemptsOf(receiver)).toEqual(['1', '2']);
    await expect.poll(async () => (await batchesTo(forgeflow, subscription.name)).length).toBe(2);
    expect(await hasOwnWorkflow(delivery!)).toBe(false);
    await untilBatchesEnded(forgeflow, subscription.name);
    await receiver.close();
  });

  test('E14 D6: starts the 24 h anew, also of one that had a workflow of its own; numbers go on', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 500 });
    const delivery = await expressSleeper(environment, receiver.url);
    const { id } = delivery;
    await windowBeganBefore([id], 2 * HOUR);
    await forgeflow.deliveries.cancel(id);
    await untilClosed(delivery);
    const first = (await delivery.handle.describe()).runId;
    await forgeflow.deliveries.redeliver(id);
    const after = await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 2);
    expect(after.attempts.map(({ number }) => number)).toEqual([1, 2]);
    const waits = Date.parse(after.nextAttemptAt!) - Date.parse(after.dateSent!);
    expect(Math.abs(waits - HOUR / 12)).toBeLessThan(5_000);
    await untilContinued(environment, [delivery]);
    expect((await delivery.handle.describe()).runId).not.toBe(first);
    expect(await delivery.handle.query('deliveryStatus')).toMatchObject({ attemptCount: 2 });
    receiver.answerWith(200);
    await forgeflow.deliveries.retry(id);
    expect(await delivery.handle.result()).toMatchObject({ state: 'delivered', attemptCount: 3 });
    expect(attemptsOf(receiver)).toEqual(['1', '2', '3']);
    // Who cancelled it may have met its workflow in the middle of an attempt: that one is told.
    expect((await batchesTo(forgeflow, delivery.subscription.name)).length).toBe(1);
    await receiver.close();
  });

  test('E14 D6: without reset goes on in the 24 h that are left, and past them makes one attempt and ends', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 500 });
    const delivery = await expressSleeper(environment, receiver.url);
    const { id } = delivery;
    await windowBeganBefore([id], 2 * HOUR);
    await forgeflow.deliveries.cancel(id);
    await untilClosed(delivery);
    await forgeflow.deliveries.redeliver(id, { reset: false });
    const second = await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 2);
    expect(Date.parse(second.nextAttemptAt!) - Date.parse(second.dateSent!)).toBeGreaterThanOrEqual(HOUR);
    await untilContinued(environment, [delivery]);

    await windowBeganBefore([id], 25 * HOUR);
    await forgeflow.deliveries.cancel(id);
    await untilClosed(delivery);
    await forgeflow.deliveries.redeliver(id, { reset: false });
    expect(await untilOver(forgeflow, delivery)).toMatchObject({
      state: 'failed',
      attemptCount: 3,
      failureDetail: 'Bad HTTP response: 500',
      nextAttemptAt: null,
    });
    await receiver.close();
  });

  test('E14 D6: in bulk queues 300 that failed or were cancelled, each for one attempt more, in batches', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, 305);
    await untilCount(forgeflow, subscription.name, 'delivered', 305);
    const end = (ids: string[], values: { state: 'failed' | 'cancelled'; date_created?: Date }) =>
      database.db.updateTable('deliveries').set(values).where('id', 'in', ids).execute();
    const ids = deliveries.map(({ id }) => id);
    await end(ids.slice(0, 200), { state: 'failed' });
    await end(ids.slice(200, 300), { state: 'cancelled' });
    await end(ids.slice(300, 302), { state: 'failed', date_created: new Date(Date.now() - 49 * HOUR) });

    const since = new Date(Date.now() - 48 * HOUR);
    expect(await forgeflow.deliveries.redeliverSince(subscription.name, since)).toEqual({ redelivered: 300 });
    await untilCount(forgeflow, subscription.name, 'delivered', 303);
    await aMoment();
    const counts = new Map((await deliveriesOf(forgeflow, subscription.name)).map((one) => [one.id, one.attemptCount]));
    expect(ids.map((id) => counts.get(id))).toEqual(ids.map((_id, at) => (at < 300 ? 2 : 1)));
    expect(receiver.requests.length).toBe(605);
    await receiver.close();
  });
});

async function windowBeganBefore(ids: string[], ms: number): Promise<void> {
  await environment.database.db
    .updateTable('deliveries')
    .set({ window_started_at: new Date(Date.now() - ms) })
    .where('id', 'in', ids)
    .execute();
}
