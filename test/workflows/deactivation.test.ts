import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  attempted,
  DEAD_URL,
  deliverTo,
  deliveryOf,
  publishTo,
  resultOf,
  sleepingDelivery,
  subscribe,
  untilClosed,
  untilDelivery,
  untilDispatched,
} from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

let environment: Environment;
let receiver: Receiver;
beforeAll(async () => {
  [environment, receiver] = await Promise.all([
    startEnvironment({ settings: { BREAKER_FAILURES: '1000' } }), // else it would hold most of the many back
    startReceiver(),
  ]);
});
afterAll(async () => {
  await environment.stop();
  await receiver.close();
});

const refused = (kind: string) => expect.objectContaining({ name: 'Refusal', kind }) as Error;

describe('D8 a paused subscription', () => {
  test('ends its pending deliveries at once, without a request, and wakes their workflows', async () => {
    const { forgeflow } = environment;
    const subscription = await subscribe(forgeflow, DEAD_URL);
    const deliveries = await Promise.all([1, 2, 3].map((n) => publishTo(forgeflow, subscription, { n })));
    await Promise.all(deliveries.map((delivery) => attempted(delivery, 1)));
    const bystander = await sleepingDelivery(forgeflow);
    await forgeflow.subscriptions.update(subscription.name, { url: receiver.url });

    expect(await forgeflow.subscriptions.pause(subscription.name)).toMatchObject({ state: 'paused' });
    for (const { id } of deliveries) {
      expect(await forgeflow.deliveries.show(id)).toMatchObject({
        state: 'failed',
        pending: false,
        successful: false,
        failureDetail: 'Webhook deactivated',
        attemptCount: 1,
        nextAttemptAt: null,
      });
    }
    for (const delivery of deliveries) expect(await untilClosed(delivery)).toBe('FAILED');
    expect(receiver.requests.length).toBe(0);
    expect(await forgeflow.deliveries.show(bystander.id)).toMatchObject({ pending: true });
    expect((await bystander.handle.describe()).status.name).toBe('RUNNING');
  });

  test('wakes so many of them that the server has to do it, too', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, DEAD_URL);
    const many = 101;
    await Promise.all(Array.from({ length: many }, (_, n) => forgeflow.publish({ topic: name, data: n })));
    const sent = async () =>
      (await forgeflow.deliveries.list({ subscription: name, limit: 200 })).filter((one) => one.attemptCount === 1)
        .length;
    await expect.poll(sent, { timeout: 30_000 }).toBe(many);
    const running = async () => {
      const query = `forgeflowSubscription = '${name}' AND ExecutionStatus = 'Running'`;
      return (await forgeflow.temporal.workflow.count(query)).count;
    };
    await expect.poll(running, { timeout: 10_000 }).toBe(many);
    await forgeflow.subscriptions.pause(name);
    await expect.poll(running, { timeout: 30_000 }).toBe(0);
    expect((await forgeflow.deliveries.list({ subscription: name, state: 'failed', limit: 200 })).length).toBe(many);
    expect(await sent()).toBe(many);
  });

  test('is passed by by new events, and refuses a ping, until it is enabled again', async () => {
    const { forgeflow } = environment;
    const { name } = await subscribe(forgeflow, receiver.url);
    await forgeflow.subscriptions.pause(name);
    const { eventId } = await forgeflow.publish({ topic: name, data: 1 });
    await untilDispatched(environment.database, eventId);
    await expect(forgeflow.subscriptions.ping(name)).rejects.toEqual(refused('conflict'));
    expect(await forgeflow.deliveries.list({ subscription: name })).toEqual([]);

    expect(await forgeflow.subscriptions.enable(name)).toMatchObject({ state: 'active' });
    const next = await forgeflow.publish({ topic: name, data: 2 });
    const delivery = await deliveryOf(forgeflow, next.eventId, name);
    await untilDelivery(forgeflow, delivery.id, ({ state }) => state === 'delivered');
  });

  test('lets a request that is on its way come through', async () => {
    const { forgeflow } = environment;
    const held = await startReceiver({ answer: { delayMs: 500 } });
    const delivery = await deliverTo(forgeflow, held.url);
    await held.waitForRequests(1);
    await forgeflow.subscriptions.pause(delivery.subscription.name);
    expect(await untilClosed(delivery)).toBe('COMPLETED');
    expect(await forgeflow.deliveries.show(delivery.id)).toMatchObject({ state: 'delivered', attemptCount: 1 });
    await held.close();
  });

  test('ends a redelivery without a request', async () => {
    const { forgeflow } = environment;
    const before = receiver.requests.length;
    const { id, handle, subscription } = await deliverTo(forgeflow, receiver.url);
    await resultOf({ handle });
    await forgeflow.subscriptions.pause(subscription.name);
    await forgeflow.deliveries.redeliver(id);
    await untilDelivery(forgeflow, id, ({ failureDetail }) => failureDetail === 'Webhook deactivated');
    expect(receiver.requests.length).toBe(before + 1);
  });
});

describe('D8 a deleted subscription', () => {
  test('takes its deliveries along, and their sleeping workflows end cleanly', async () => {
    const { forgeflow, database } = environment;
    const delivery = await sleepingDelivery(forgeflow);
    await forgeflow.subscriptions.delete(delivery.subscription.name);
    await expect(forgeflow.deliveries.show(delivery.id)).rejects.toEqual(refused('not_found'));
    await expect(forgeflow.subscriptions.show(delivery.subscription.name)).rejects.toEqual(refused('not_found'));
    expect(await untilClosed(delivery)).toBe('COMPLETED');
    expect(await delivery.handle.result()).toMatchObject({ state: 'deleted', attemptCount: 1 });
    const log = await database.db.selectFrom('attempts').where('delivery_id', '=', delivery.id).selectAll().execute();
    expect(log).toEqual([]);
  });

  test('while an attempt is in flight: it ends cleanly too', async () => {
    const { forgeflow } = environment;
    const held = await startReceiver({ answer: { delayMs: 500, status: 500 } });
    const delivery = await deliverTo(forgeflow, held.url);
    await held.waitForRequests(1);
    await forgeflow.subscriptions.delete(delivery.subscription.name);
    expect(await untilClosed(delivery)).toBe('COMPLETED');
    expect(held.requests.length).toBe(1);
    await held.close();
  });

  test('is refused where there is none', async () => {
    await expect(environment.forgeflow.subscriptions.delete('nobody')).rejects.toEqual(refused('not_found'));
  });
});
