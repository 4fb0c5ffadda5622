import { setTimeout as sleep } from 'node:timers/promises';
import type { Updateable } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SubscriptionTable } from '../../src/database/tables.ts';
import { fastForward } from '../../src/dev/fast-forward.ts';
import type { Delivery, Subscription } from '../../src/index.ts';
import { retryNowSignal } from '../../workflows/messages.ts';
import { attempted, deliverTo, handleOf, subscribe, untilClosed, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type AnyAnswer, type Receiver, startReceiver } from '../support/receiver.ts';
import { subscriptionRow } from '../support/records.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({ timeoutMs: 20_000, intervals: { poll: 100, strays: 300 } });
});
afterAll(() => environment.stop());

/** Long enough for relays to look around some times. */
const aMoment = () => sleep(500);

/** A subscription whose receiver answers 500 to all, until it is told otherwise. */
interface Tripped {
  name: string;
  subscriptionId: string;
  receiver: Receiver;
  /** Requests made so far. */
  requests: () => number;
}

/** Publishes so many events to a receiver that fails, and waits until the breaker is tripped and nothing moves any more. */
async function tripped(events: number): Promise<Tripped> {
  const { forgeflow } = environment;
  const receiver = await startReceiver({ answer: 500 });
  const { id: subscriptionId, name } = await subscribe(forgeflow, receiver.url);
  for (let n = 0; n < events; n++) await forgeflow.publish({ topic: name, data: n });
  await expect.poll(async () => (await show(name)).state, { timeout: 20_000 }).toBe('tripped');
  await untilAtRest(subscriptionId);
  // The books follow the record of an attempt, in a statement of their own.
  await expect.poll(async () => (await show(name)).consecutiveFailures).toBe(receiver.requests.length);
  return { name, subscriptionId, receiver, requests: () => receiver.requests.length };
}

const show = (name: string): Promise<Subscription> => environment.forgeflow.subscriptions.show(name);
const deliveriesOf = (name: string): Promise<Delivery[]> =>
  environment.forgeflow.deliveries.list({ subscription: name, limit: 200 });
const set = (id: string, values: Updateable<SubscriptionTable>) =>
  environment.database.db.updateTable('subscriptions').set(values).where('id', '=', id).execute();

/** Lets the time of the next probe have come. */
const makeProbeDue = (id: string) => set(id, { next_probe_at: new Date(Date.now() - 1) });
const putOffProbe = (id: string) => set(id, { next_probe_at: new Date(Date.now() + 10 * HOUR) });

/** Until every pending delivery either sleeps or is held back. */
async function untilAtRest(subscriptionId: string): Promise<void> {
  const moving = environment.database.db
    .selectFrom('deliveries')
    .select('id')
    .where('subscription_id', '=', subscriptionId)
    .where('state', '=', 'pending')
    .where('started_at', 'is not', null)
    .where('next_attempt_at', 'is', null);
  await expect.poll(async () => (await moving.execute()).length, { timeout: 20_000 }).toBe(0);
}

/** Those that wait for the breaker, and those that sleep until their next attempt. */
async function pendingOf(name: string): Promise<{ held: Delivery[]; asleep: Delivery[] }> {
  const pending = (await deliveriesOf(name)).filter((one) => one.pending);
  return {
    held: pending.filter(({ nextAttemptAt }) => nextAttemptAt === null),
    asleep: pending.filter(({ nextAttemptAt }) => nextAttemptAt !== null),
  };
}

/** Makes the receiver hold its requests. @returns what lets go the one that came last */
function holdRequests(receiver: Receiver): (answer: AnyAnswer) => void {
  let letGo: ((answer: AnyAnswer) => void) | undefined;
  receiver.answerWith(() => new Promise((resolve) => (letGo = resolve)));
  return (answer) => letGo?.(answer);
}

test('E10: 30 events: after 5 failures all is held back, one probe at a time goes out, and a success releases the rest', async () => {
  const { forgeflow } = environment;
  const { name, subscriptionId, receiver, requests } = await tripped(30);
  const atFirst = requests();
  expect(atFirst).toBeGreaterThanOrEqual(5);
  expect(atFirst).toBeLessThanOrEqual(9); // with the fifth, as many may have been on their way as it may have on trial
  expect(await show(name)).toMatchObject({
    state: 'tripped',
    consecutiveFailures: atFirst,
    lastSuccessAt: null,
    lastError: 'Bad HTTP response: 500',
    trippedAt: expect.any(String) as string,
  });
  expect(await pendingOf(name)).toMatchObject({ asleep: { length: atFirst }, held: { length: 30 - atFirst } });
  await aMoment();
  expect(requests()).toBe(atFirst);

  // A probe: while it is under way, and after it has failed, nothing else goes out.
  const answer = holdRequests(receiver);
  await makeProbeDue(subscriptionId);
  await receiver.waitForRequests(atFirst + 1);
  await aMoment();
  expect(requests()).toBe(atFirst + 1);
  answer(503);
  await untilAtRest(subscriptionId);
  // The books follow the record of an attempt, in a statement of their own.
  const books = () => subscriptionRow(environment.database.db, subscriptionId);
  await expect.poll(async () => (await books()).probe_delivery_id).toBeNull();
  const { next_probe_at } = await books();
  expect(Math.abs(next_probe_at!.getTime() - Date.now() - 5 * MINUTE)).toBeLessThan(30_000);
  await expect.poll(() => show(name)).toMatchObject({ state: 'tripped', consecutiveFailures: atFirst + 1 });
  await aMoment();
  expect(requests()).toBe(atFirst + 1);

  // The next one gets through.
  await makeProbeDue(subscriptionId);
  await receiver.waitForRequests(atFirst + 2);
  await aMoment();
  expect(requests()).toBe(atFirst + 2);
  receiver.answerWith(200);
  answer(200);
  const delivered = async () => (await deliveriesOf(name)).filter(({ state }) => state === 'delivered').length;
  await expect.poll(delivered, { timeout: 20_000 }).toBe(30 - atFirst - 1);
  expect(await show(name)).toMatchObject({
    state: 'active',
    consecutiveFailures: 0,
    lastError: null,
    trippedAt: null,
    lastSuccessAt: expect.any(String) as string,
  });

  // Those that sleep come at their own time.
  const { asleep, held } = await pendingOf(name);
  expect(held).toEqual([]);
  expect(asleep.length).toBe(atFirst + 1);
  for (const { id } of asleep) await fastForward(forgeflow.temporal, handleOf(forgeflow, id).workflowId, 6 * MINUTE);
  await expect.poll(delivered, { timeout: 20_000 }).toBe(30);
  const got = receiver.requests.slice(-30).map(({ rawBody }) => Number(rawBody.toString()));
  expect(new Set(got)).toEqual(new Set(Array.from({ length: 30 }, (_, n) => n)));
  await receiver.close();
});

describe('a person', () => {
  test('E10: who enables a tripped subscription clears stamp, count and error, and releases what waits', async () => {
    const { forgeflow } = environment;
    const { name, subscriptionId, receiver } = await tripped(12);
    const { held } = await pendingOf(name);
    receiver.answerWith(200);
    expect(await forgeflow.subscriptions.enable(name)).toMatchObject({
      state: 'active',
      consecutiveFailures: 0,
      lastError: null,
      trippedAt: null,
    });
    expect(await subscriptionRow(environment.database.db, subscriptionId)).toMatchObject({
      next_probe_at: null,
      probe_delivery_id: null,
    });
    for (const { id } of held) await untilDelivery(forgeflow, id, ({ state }) => state === 'delivered');
    await receiver.close();
  });

  test('E10: who pauses a tripped subscription ends its deliveries, those that are held back too', async () => {
    const { forgeflow } = environment;
    const { name, subscriptionId, receiver, requests } = await tripped(12);
    const before = requests();
    expect(await forgeflow.subscriptions.pause(name)).toMatchObject({ state: 'paused', trippedAt: null });
    const all = await deliveriesOf(name);
    expect(all.length).toBe(12);
    for (const one of all) expect(one).toMatchObject({ state: 'failed', failureDetail: 'Webhook deactivated' });
    for (const { id } of all.filter(({ attemptCount }) => attemptCount > 0)) {
      expect(await untilClosed({ handle: handleOf(forgeflow, id) })).toBe('FAILED');
    }
    await makeProbeDue(subscriptionId);
    await aMoment();
    expect(requests()).toBe(before);
    await receiver.close();
  });

  test('E10: who asks for a retry, a redelivery or a ping gets it at once, and only that goes out', async () => {
    const { forgeflow } = environment;
    const { name, subscriptionId, receiver, requests } = await tripped(14);
    const {
      held: [held, cancelled, ...others],
      asleep: [asleep],
    } = await pendingOf(name);
    await forgeflow.deliveries.cancel(cancelled!.id);
    let count = requests();
    const expectOneFor = async (id: string): Promise<void> => {
      await receiver.waitForRequests(++count);
      await untilAtRest(subscriptionId);
      await aMoment();
      expect(receiver.requests.slice(count - 1).map(({ headers }) => headers['webhook-id'])).toEqual([id]);
      expect((await show(name)).state).toBe('tripped');
      await putOffProbe(subscriptionId);
    };

    await putOffProbe(subscriptionId);
    await forgeflow.deliveries.retry(asleep!.id);
    await expectOneFor(asleep!.id);
    await forgeflow.deliveries.retry(held!.id);
    await expectOneFor(held!.id);
    await forgeflow.deliveries.redeliver(cancelled!.id);
    await expectOneFor(cancelled!.id);
    const ping = await forgeflow.subscriptions.ping(name);
    await expectOneFor(ping.deliveryId);

    // Of which one that gets through is as good as any probe.
    receiver.answerWith(200);
    const { deliveryId } = await forgeflow.subscriptions.ping(name);
    await untilDelivery(forgeflow, deliveryId, ({ state }) => state === 'delivered');
    for (const { id } of others) await untilDelivery(forgeflow, id, ({ state }) => state === 'delivered');
    expect(await show(name)).toMatchObject({ state: 'active', consecutiveFailures: 0 });
    await receiver.close();
  });

  test('E11: who tests a tripped subscription sees what comes of it, and it stays tripped', async () => {
    const { forgeflow } = environment;
    const { name, receiver } = await tripped(8);
    const before = await show(name);
    receiver.answerWith(200);
    expect(await forgeflow.subscriptions.test(name)).toMatchObject({ successful: true });
    expect(await show(name)).toEqual(before);
    await receiver.close();
  });
});

describe('a probe', () => {
  test('E10: whose worker died: another goes out when its lease is over, and that delivery is not lost', async () => {
    const { forgeflow, database } = environment;
    const { name, subscriptionId, receiver, requests } = await tripped(12);
    const { held } = await pendingOf(name);
    const dead = held.at(-1)!; // the oldest
    const before = requests();
    // As a relay that died leaves it: admitted as the probe, its workflow never told.
    await set(subscriptionId, { probe_delivery_id: dead.id, next_probe_at: new Date(Date.now() + 5 * MINUTE) });
    await database.db
      .updateTable('deliveries')
      .set({ started_at: new Date(Date.now() + 10 * MINUTE) })
      .where('id', '=', dead.id)
      .execute();
    receiver.answerWith(200);
    await aMoment();
    expect(requests()).toBe(before);

    await makeProbeDue(subscriptionId);
    for (const { id } of held.slice(0, -1)) await untilDelivery(forgeflow, id, ({ state }) => state === 'delivered');
    expect(await forgeflow.deliveries.show(dead.id)).toMatchObject({ pending: true, attemptCount: 0 });
    await database.db
      .updateTable('deliveries')
      .set({ started_at: new Date(Date.now() - HOUR) })
      .where('id', '=', dead.id)
      .execute();
    await untilDelivery(forgeflow, dead.id, ({ state }) => state === 'delivered');
    await receiver.close();
  });

  test('E10 D2: a lone delivery keeps to its schedule although the breaker trips at its fifth attempt, and closes it', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: (_request, index) => (index < 13 ? 404 : 204) });
    const delivery = await deliverTo(forgeflow, receiver.url);
    const { id, handle, subscription } = delivery;
    await attempted(delivery, 1);
    await fastForward(forgeflow.temporal, handle.workflowId, 17 * MINUTE);
    await attempted(delivery, 4);
    expect(await show(subscription.name)).toMatchObject({ state: 'active', consecutiveFailures: 4 });
    await fastForward(forgeflow.temporal, handle.workflowId, 5 * MINUTE);
    await attempted(delivery, 5);
    const { sentAt, durationMs } = (await forgeflow.deliveries.show(id)).attempts[4]!;
    expect(await show(subscription.name)).toMatchObject({
      state: 'tripped',
      consecutiveFailures: 5,
      trippedAt: new Date(Date.parse(sentAt) + durationMs).toISOString(),
    });
    await fastForward(forgeflow.temporal, handle.workflowId, 30 * HOUR);
    expect(await handle.result()).toMatchObject({ state: 'delivered', attemptCount: 14 });
    const sent = (await forgeflow.deliveries.show(id)).attempts.map(({ sentAt }) => Date.parse(sentAt));
    const expected = [...Array.from({ length: 13 }, (_, i) => i * 5 * MINUTE), 2 * HOUR];
    for (const [i, at] of sent.entries()) expect(Math.abs(at - sent[0]! - expected[i]!)).toBeLessThan(MINUTE);
    expect(await show(subscription.name)).toMatchObject({ state: 'active', consecutiveFailures: 0, trippedAt: null });
    await receiver.close();
  });

  test('E10: is none of a delivery that wakes before it is due: it says why it waits, until it is woken', async () => {
    const { forgeflow } = environment;
    const { name, subscriptionId, receiver, requests } = await tripped(6);
    const before = requests();
    await putOffProbe(subscriptionId);
    const { asleep } = await pendingOf(name);
    const handle = handleOf(forgeflow, asleep[0]!.id);
    await handle.signal(retryNowSignal);
    const held = await untilDelivery(forgeflow, asleep[0]!.id, ({ nextAttemptAt }) => nextAttemptAt === null);
    expect(held).toMatchObject({ pending: true, attemptCount: 1, failureDetail: 'Bad HTTP response: 500' });
    const details = async () =>
      (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;
    await expect.poll(details).toContain('held back until its subscription can take it');
    expect(requests()).toBe(before);

    receiver.answerWith(200);
    await makeProbeDue(subscriptionId);
    await untilDelivery(forgeflow, held.id, ({ state }) => state === 'delivered');
    expect(await handle.result()).toMatchObject({ state: 'delivered', attemptCount: 2 });
    await receiver.close();
  });
});
