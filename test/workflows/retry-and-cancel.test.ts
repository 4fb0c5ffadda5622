import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  cancelDeliverySignal,
  cancelDeliveryUpdate,
  deliveryStatusQuery,
  retryNowSignal,
  retryNowUpdate,
} from '../../workflows/messages.ts';
import {
  attempted,
  deliverTo,
  resultOf,
  sleepingDelivery,
  type StartedDelivery,
  untilClosed,
} from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { activitiesOf } from '../support/history.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

let environment: Environment;
let receiver: Receiver;
beforeAll(async () => {
  [environment, receiver] = await Promise.all([startEnvironment({ timeoutMs: 5_000 }), startReceiver()]);
});
afterAll(async () => {
  await environment.stop();
  await receiver.close();
});

const refused = (kind: string) => expect.objectContaining({ name: 'Refusal', kind }) as Error;

/** A delivery that sleeps after one failed attempt, and would get through at its next. */
async function mendedDelivery(): Promise<StartedDelivery> {
  const delivery = await sleepingDelivery(environment.forgeflow);
  await environment.forgeflow.subscriptions.update(delivery.subscription.name, { url: receiver.url });
  return delivery;
}

describe('D6 D14 a pending delivery tries now', () => {
  test.each<[string, (delivery: StartedDelivery) => Promise<unknown>]>([
    ['through the client', ({ id }) => environment.forgeflow.deliveries.retry(id)],
    ['by signal retryNow', ({ handle }) => handle.signal(retryNowSignal)],
    ['by update retryNow', ({ handle }) => handle.executeUpdate(retryNowUpdate)],
  ])('%s', async (_how, retry) => {
    const delivery = await mendedDelivery();
    await retry(delivery);
    expect(await delivery.handle.result()).toMatchObject({ state: 'delivered', attemptCount: 2 });
    expect(await activitiesOf(delivery.handle)).toBe(2);
  });

  test('the update answers with what came of the attempt', async () => {
    const { handle } = await sleepingDelivery(environment.forgeflow);
    const status = await handle.executeUpdate(retryNowUpdate);
    expect(status).toMatchObject({
      state: 'pending',
      attemptCount: 2,
      failureDetail: 'Connection error: connection refused',
    });
    expect(await handle.query(deliveryStatusQuery)).toEqual(status);
    expect(Date.parse(status.nextAttemptAt!)).toBeGreaterThan(Date.parse(status.lastAttemptAt!));
  });

  test('one that is over is refused', async () => {
    const { forgeflow } = environment;
    const { id, handle } = await deliverTo(forgeflow, receiver.url);
    await resultOf({ handle });
    await expect(forgeflow.deliveries.retry(id)).rejects.toEqual(refused('conflict'));
    await expect(forgeflow.deliveries.cancel(id)).rejects.toEqual(refused('conflict'));
    await expect(forgeflow.deliveries.cancel('01a2116b-4407-7039-971b-4a7414efd69b')).rejects.toEqual(
      refused('not_found'),
    );
  });
});

describe('D6 D14 a pending delivery is cancelled', () => {
  test.each<[string, string, (delivery: StartedDelivery) => Promise<unknown>]>([
    ['through the client', 'COMPLETED', ({ id }) => environment.forgeflow.deliveries.cancel(id)],
    ['by signal cancelDelivery', 'COMPLETED', ({ handle }) => handle.signal(cancelDeliverySignal)],
    ['by update cancelDelivery', 'COMPLETED', ({ handle }) => handle.executeUpdate(cancelDeliveryUpdate)],
    ["by Temporal's own cancellation", 'CANCELLED', ({ handle }) => handle.cancel()],
  ])('%s', async (_how, status, cancel) => {
    const before = receiver.requests.length;
    const delivery = await mendedDelivery();
    await cancel(delivery);
    expect(await untilClosed(delivery)).toBe(status);
    expect(await environment.forgeflow.deliveries.show(delivery.id)).toMatchObject({
      state: 'cancelled',
      pending: false,
      successful: false,
      failureDetail: 'Cancelled by hand',
      attemptCount: 1,
      nextAttemptAt: null,
    });
    expect(await delivery.handle.query(deliveryStatusQuery)).toMatchObject({ state: 'cancelled', nextAttemptAt: null });
    expect(receiver.requests.length).toBe(before);
  });

  test('the update answers with where the delivery stands', async () => {
    const { handle } = await sleepingDelivery(environment.forgeflow);
    expect(await handle.executeUpdate(cancelDeliveryUpdate)).toMatchObject({ state: 'cancelled', attemptCount: 1 });
  });

  test.each<[string, number, (delivery: StartedDelivery) => Promise<unknown>]>([
    ['the client', 300, ({ id }) => environment.forgeflow.deliveries.cancel(id)],
    ['signal', 300, ({ handle }) => handle.signal(cancelDeliverySignal)],
    // The attempt hears of it with its first heartbeat, after 2 s.
    ['Temporal', 2_500, ({ handle }) => handle.cancel()],
  ])('by %s while an attempt is in flight: its answer is awaited and decides', async (_how, holdMs, cancel) => {
    const { forgeflow } = environment;
    for (const [answer, state] of [
      [200, 'delivered'],
      [500, 'cancelled'],
    ] as const) {
      let release = (): void => undefined;
      const held = await startReceiver({
        answer: () =>
          new Promise((resolve) => {
            release = () => {
              resolve(answer);
            };
          }),
      });
      const delivery = await deliverTo(forgeflow, held.url);
      await held.waitForRequests(1);
      await cancel(delivery);
      await new Promise((resolve) => setTimeout(resolve, holdMs));
      release();
      await untilClosed(delivery);
      const shown = await forgeflow.deliveries.show(delivery.id);
      expect(shown).toMatchObject({ state, attemptCount: 1 });
      expect(shown.attempts.map(({ statusCode }) => statusCode)).toEqual([answer]);
      expect(held.requests.length).toBe(1);
      await held.close();
    }
  });
});

test('D6 retries asked for while an attempt is in flight make one attempt more, however many they are', async () => {
  const { forgeflow } = environment;
  const held = await startReceiver({ answer: (_request, index) => ({ status: 500, delayMs: index === 0 ? 700 : 0 }) });
  const delivery = await deliverTo(forgeflow, held.url);
  await held.waitForRequests(1);
  await Promise.all(Array.from({ length: 10 }, () => forgeflow.deliveries.retry(delivery.id)));
  await attempted(delivery, 2);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(await forgeflow.deliveries.show(delivery.id)).toMatchObject({ pending: true, attemptCount: 2 });
  expect(held.requests.length).toBe(2);
  await held.close();
});

test('D6 a retry that is asked for while only a slow cancellation keeps the workflow open is answered, and the workflow ends', async () => {
  const { database } = environment;
  const { id, handle } = await mendedDelivery();
  await database.db.updateTable('deliveries').set({ state: 'cancelled' }).where('id', '=', id).execute();
  const holder = await database.db.startTransaction().execute();
  await sql`lock table deliveries in exclusive mode`.execute(holder); // reading goes on, writing waits
  await handle.signal(cancelDeliverySignal);
  await handle.signal(retryNowSignal);
  await expect.poll(async () => (await handle.query(deliveryStatusQuery)).state).toBe('cancelled');
  expect(await handle.executeUpdate(retryNowUpdate)).toMatchObject({ state: 'cancelled', attemptCount: 1 });
  await holder.rollback().execute();
  expect(await untilClosed({ handle })).toBe('COMPLETED');
});
