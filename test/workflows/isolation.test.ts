import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SubscriptionWithSecret } from '../../src/index.ts';
import { deliveryOf, handleOf, subscribe } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type AnyAnswer, type Receiver, startReceiver } from '../support/receiver.ts';

const CONCURRENCY = 8;
const OF_ONE = 2;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    timeoutMs: 60_000, // whoever hangs, hangs for longer than all of this takes
    settings: { EGRESS_CONCURRENCY: String(CONCURRENCY), EGRESS_CONCURRENCY_PER_SUBSCRIPTION: String(OF_ONE) },
  });
});
afterAll(() => environment.stop());

/** A receiver that knows how many requests it has at once, and how many it had at most. */
async function startCounting(delayMs: number): Promise<Receiver & { most: () => number }> {
  let inFlight = 0;
  let most = 0;
  const receiver = await startReceiver({
    answer: async () => {
      most = Math.max(most, ++inFlight);
      await sleep(delayMs);
      inFlight -= 1;
      return 200;
    },
  });
  return { ...receiver, most: () => most };
}

/** Publishes all at once, in one transaction. */
async function publishMany(topics: string[], each: number): Promise<void> {
  const rows = topics.flatMap((topic) => Array.from({ length: each }, (_, n) => ({ topic, payload: String(n) })));
  await environment.database.db.insertInto('events').values(rows).execute();
}

const namesOf = (subscriptions: SubscriptionWithSecret[]) => subscriptions.map(({ name }) => name);

/** How many deliveries of a subscription are in which state. */
async function countOf(name: string, state: 'pending' | 'delivered'): Promise<number> {
  return (await environment.forgeflow.deliveries.list({ subscription: name, state, limit: 1_000 })).length;
}

async function untilDelivered(names: string[], each: number): Promise<void> {
  for (const name of names) await expect.poll(() => countOf(name, 'delivered'), { timeout: 40_000 }).toBe(each);
}

test('E5: however many deliveries wait, no more requests are in flight than the setting allows', async () => {
  const { forgeflow } = environment;
  const receiver = await startCounting(20);
  const subscriptions = await Promise.all(Array.from({ length: 10 }, () => subscribe(forgeflow, receiver.url)));
  await publishMany(namesOf(subscriptions), 12);
  await untilDelivered(namesOf(subscriptions), 12);
  expect(receiver.requests.length).toBe(120);
  expect(receiver.most()).toBeLessThanOrEqual(CONCURRENCY);
  expect(receiver.most()).toBeGreaterThan(OF_ONE);
  await receiver.close();
});

test('E12: no more of them go to one subscription than its own limit allows, though places are free', async () => {
  const { forgeflow } = environment;
  const receiver = await startCounting(20);
  const { name } = await subscribe(forgeflow, receiver.url);
  await publishMany([name], 40);
  await untilDelivered([name], 40);
  expect(receiver.most()).toBe(OF_ONE);
  await receiver.close();
});

test('E12: one that never answers does not keep the deliveries of others, nor what a person tests', async () => {
  const { forgeflow } = environment;
  let letGo = (): void => undefined;
  const released = new Promise<AnyAnswer>((resolve) => {
    letGo = () => {
      resolve(200);
    };
  });
  const hanging = await startReceiver();
  const healthy = await startReceiver();
  const dead = await subscribe(forgeflow, hanging.url);
  await publishMany([dead.name], 1);
  await untilDelivered([dead.name], 1); // it was well until now, and has all the room that it can have

  hanging.answerWith(({ headers }) => (headers['x-forgeflow-topic'] === 'test.ping' ? 204 : released));
  await publishMany([dead.name], 60);
  await hanging.waitForRequests(1 + OF_ONE);
  const others = await Promise.all(Array.from({ length: 5 }, () => subscribe(forgeflow, healthy.url)));
  await publishMany(namesOf(others), 20);
  await untilDelivered(namesOf(others), 20);
  expect(healthy.requests.length).toBe(100);
  expect(await forgeflow.subscriptions.test(dead.name)).toMatchObject({ successful: true });
  expect(hanging.requests.length).toBe(1 + OF_ONE + 1);
  expect(await countOf(dead.name, 'pending')).toBe(60);

  letGo();
  await untilDelivered([dead.name], 61);
  await Promise.all([hanging.close(), healthy.close()]);
});

test('E12: one delivery of one subscription does not wait for the hundreds of another', async () => {
  const { forgeflow } = environment;
  const receiver = await startCounting(15);
  const [busy, quiet] = [await subscribe(forgeflow, receiver.url), await subscribe(forgeflow, receiver.url)];
  await publishMany([busy.name], 400);
  await receiver.waitForRequests(20);
  await publishMany([quiet.name], 1);
  await untilDelivered([quiet.name], 1);
  expect(await countOf(busy.name, 'pending')).toBeGreaterThan(100);
  await forgeflow.subscriptions.pause(busy.name); // nobody waits for the rest
  await receiver.close();
});

test('E12: a delivery’s workflow has its subscription as its fairness key', async () => {
  const { forgeflow } = environment;
  const receiver = await startReceiver();
  const { id, name } = await subscribe(forgeflow, receiver.url);
  const { eventId } = await forgeflow.publish({ topic: name, data: 1 });
  const delivery = await deliveryOf(forgeflow, eventId, name);
  await untilDelivered([name], 1);
  const { raw } = await handleOf(forgeflow, delivery.id).describe();
  expect(raw.workflowExecutionInfo?.priority?.fairnessKey).toBe(id);
  await receiver.close();
});
