import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Subscription } from '../../src/index.ts';
import { subscriptionsKey } from '../../workflows/search-attributes.ts';
import { untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import {
  batchesTo,
  deliveriesOf,
  publishNumbers,
  publishTogether,
  subscribeExpress,
  untilBatchesEnded,
  untilContinued,
  untilCount,
} from '../support/express.ts';
import { idsOf, startHoldingReceiver } from '../support/holding-receiver.ts';
import { startReceiver } from '../support/receiver.ts';

const TIMEOUT_MS = 4_000;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    timeoutMs: TIMEOUT_MS,
    intervals: { poll: 100 },
    settings: { EGRESS_CONCURRENCY: '8', EGRESS_CONCURRENCY_PER_SUBSCRIPTION: '4' },
  });
});
afterAll(() => environment.stop());

const show = (name: string): Promise<Subscription> => environment.forgeflow.subscriptions.show(name);

describe('a batch with a receiver that hangs', () => {
  test('E14 E12: holds up neither the others in it nor later batches; what hangs times out and goes on to attempt 2', async () => {
    const { forgeflow } = environment;
    const hanging = await startHoldingReceiver();
    const healthy = await startReceiver();
    const dead = await subscribeExpress(environment, hanging.url);
    const [one, two] = [
      await subscribeExpress(environment, healthy.url),
      await subscribeExpress(environment, healthy.url),
    ];
    // With the hanging ones first, in the middle and last, of which four are sent.
    const all = await publishTogether(
      environment,
      Array.from({ length: 100 }, (_, data) => ({
        subscription: data % 25 === 0 ? dead : data % 2 === 0 ? one : two,
        data,
      })),
    );
    const hung = all.filter(({ subscription }) => subscription === dead);
    expect(hung.length).toBe(4);
    await expect
      .poll(async () =>
        (await batchesTo(forgeflow, dead.name)).map((batch) => batch.typedSearchAttributes.get(subscriptionsKey)),
      )
      .toEqual([expect.arrayContaining([one, two, dead].map(({ name }) => name))]);
    await hanging.waitForRequests(4);
    const hangsSince = Date.now();
    await untilCount(forgeflow, one.name, 'delivered', all.filter(({ subscription }) => subscription === one).length);
    await untilCount(forgeflow, two.name, 'delivered', all.filter(({ subscription }) => subscription === two).length);
    // Later ones, to the healthy and to one that was not in it, go through meanwhile.
    const three = await subscribeExpress(environment, healthy.url);
    await publishTogether(
      environment,
      Array.from({ length: 60 }, (_, data) => ({ subscription: [one, two, three][data % 3]!, data })),
    );
    await untilCount(forgeflow, three.name, 'delivered', 20);
    expect(Date.now() - hangsSince).toBeLessThan(TIMEOUT_MS);
    for (const { id } of hung) expect(await forgeflow.deliveries.show(id)).toMatchObject({ attemptCount: 0 });
    expect(healthy.requests.length).toBeLessThanOrEqual(156);

    for (const { id } of hung) {
      const shown = await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 1);
      expect(shown).toMatchObject({
        pending: true,
        attempts: [{ number: 1, connectionError: `timed out after ${TIMEOUT_MS} ms` }],
      });
      expect(Date.parse(shown.nextAttemptAt!) - Date.parse(shown.dateSent!)).toBeGreaterThanOrEqual(5 * 60_000);
    }
    await untilContinued(environment, hung);
    hanging.letGo(200);
    for (const { id } of hung) await forgeflow.deliveries.retry(id);
    await untilCount(forgeflow, dead.name, 'delivered', 4);
    expect(healthy.requests.length).toBe(156);
    expect(new Set(idsOf(healthy.requests)).size).toBe(156);
    expect(hanging.requests.length).toBe(8);
    await Promise.all([hanging.close(), healthy.close()]);
  });

  test('E14 E5 E12: of many, all to it, has no more requests in flight than it may, and goes on with others’', async () => {
    const { forgeflow } = environment;
    const hanging = await startHoldingReceiver();
    const healthy = await startReceiver();
    const dead = await subscribeExpress(environment, hanging.url);
    const alive = await subscribeExpress(environment, healthy.url);
    await publishNumbers(environment, dead, 150);
    await hanging.waitForRequests(4);
    const others = await publishNumbers(environment, alive, 150);
    await untilCount(forgeflow, alive.name, 'delivered', others.length, TIMEOUT_MS * 2);
    expect((await show(dead.name)).state).not.toBe('paused');
    expect(hanging.requests.length).toBeLessThanOrEqual(12);
    // Nobody waits for the rest.
    await forgeflow.subscriptions.pause(dead.name);
    hanging.letGo(200);
    await untilBatchesEnded(forgeflow, dead.name);
    expect((await deliveriesOf(forgeflow, dead.name)).filter(({ pending }) => pending)).toEqual([]);
    await Promise.all([hanging.close(), healthy.close()]);
  });
});

describe('the circuit breaker in the express lane', () => {
  /** Lets the time of the next probe have come. */
  const makeProbeDue = (id: string) =>
    environment.database.db
      .updateTable('subscriptions')
      .set({ next_probe_at: new Date(Date.now() - 1) })
      .where('id', '=', id)
      .execute();

  /** Those that wait for the breaker, and those that sleep until their next attempt. */
  async function pendingOf(name: string): Promise<{ held: number; asleep: number }> {
    const pending = (await deliveriesOf(environment.forgeflow, name)).filter((one) => one.pending);
    const held = pending.filter(({ nextAttemptAt }) => nextAttemptAt === null).length;
    return { held, asleep: pending.length - held };
  }

  /** Until nothing is on its way any more. */
  async function untilAtRest(subscriptionId: string): Promise<void> {
    await eventually(async () => {
      const moving = await environment.database.db
        .selectFrom('deliveries')
        .select('id')
        .where('subscription_id', '=', subscriptionId)
        .where('state', '=', 'pending')
        .where((where) => where('started_at', 'is not', null).and('next_attempt_at', 'is', null))
        .execute();
      if (moving.length > 0) throw new Error(`${moving.length} are on their way`);
    });
  }

  test('E14 E10: 30 events: trips in mid-batch and holds back the rest; a probe that fails, then one that releases all', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: { status: 500, delayMs: 60 } });
    const { id: subscriptionId, name, ...subscription } = await subscribeExpress(environment, receiver.url);
    await publishNumbers(environment, { ...subscription, id: subscriptionId, name }, 30);
    await expect.poll(async () => (await show(name)).state).toBe('tripped');
    await untilAtRest(subscriptionId);
    const atFirst = receiver.requests.length;
    expect(atFirst).toBeGreaterThanOrEqual(5);
    expect(atFirst).toBeLessThan(30);
    await expect
      .poll(() => show(name))
      .toMatchObject({
        state: 'tripped',
        consecutiveFailures: atFirst,
        lastError: 'Bad HTTP response: 500',
        trippedAt: expect.any(String) as string,
      });
    expect(await pendingOf(name)).toEqual({ asleep: atFirst, held: 30 - atFirst });

    // A probe goes out alone, in whatever lane, and fails.
    await makeProbeDue(subscriptionId);
    await receiver.waitForRequests(atFirst + 1);
    await expect.poll(async () => (await show(name)).consecutiveFailures).toBe(atFirst + 1);
    await sleep(500); // long enough for relays to look around some times
    expect(receiver.requests.length).toBe(atFirst + 1);
    expect(await pendingOf(name)).toEqual({ asleep: atFirst + 1, held: 30 - atFirst - 1 });

    // The next one gets through, and the rest goes in batches again.
    const before = (await untilBatchesEnded(forgeflow, name)).length;
    receiver.answerWith(200);
    await makeProbeDue(subscriptionId);
    await untilCount(forgeflow, name, 'delivered', 30 - atFirst - 1);
    await expect
      .poll(() => show(name))
      .toMatchObject({
        state: 'active',
        consecutiveFailures: 0,
        lastError: null,
        trippedAt: null,
        lastSuccessAt: expect.any(String) as string,
      });
    expect(await pendingOf(name)).toEqual({ asleep: atFirst + 1, held: 0 });
    await expect.poll(async () => (await batchesTo(forgeflow, name)).length).toBeGreaterThan(before);

    // Those that sleep come when they are told.
    const asleep = (await deliveriesOf(forgeflow, name)).filter(({ pending }) => pending);
    for (const { id } of asleep) await forgeflow.deliveries.retry(id);
    await untilCount(forgeflow, name, 'delivered', 30);
    expect(receiver.requests.length).toBe(30 + atFirst + 1);
    await receiver.close();
  });

  test('E14 E10: of a subscription that never had a success trips after few of its batch', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 500 });
    const subscription = await forgeflow.subscriptions.add({
      name: 'new-and-dead',
      url: receiver.url,
      patterns: ['new-and-dead'],
      lane: 'express',
    });
    await publishNumbers(environment, subscription, 30);
    await expect.poll(async () => (await show(subscription.name)).state).toBe('tripped');
    await untilAtRest(subscription.id);
    expect(receiver.requests.length).toBeLessThanOrEqual(9);
    expect(await pendingOf(subscription.name)).toEqual({
      asleep: receiver.requests.length,
      held: 30 - receiver.requests.length,
    });
    await receiver.close();
  });
});

test('E14 E6: the books of each subscription of a batch are its own', async () => {
  const receiver = await startReceiver({ answer: ({ rawBody }) => Number(rawBody.toString()) });
  const [good, bad, mixed] = [
    await subscribeExpress(environment, receiver.url),
    await subscribeExpress(environment, receiver.url),
    await subscribeExpress(environment, receiver.url),
  ];
  const before = Date.now();
  const deliveries = await publishTogether(environment, [
    { subscription: good, data: 200 },
    { subscription: bad, data: 500 },
    { subscription: mixed, data: 404 },
    { subscription: good, data: 204 },
    { subscription: bad, data: 503 },
  ]);
  const ofBad = deliveries.filter(({ subscription }) => subscription !== good);
  await untilContinued(environment, ofBad);
  const recently = expect.toSatisfy((at) => Date.parse(String(at)) >= before) as string;
  await expect
    .poll(() => show(good.name))
    .toMatchObject({
      consecutiveFailures: 0,
      lastSuccessAt: recently,
      lastFailureAt: null,
      lastError: null,
    });
  await expect
    .poll(() => show(bad.name))
    .toMatchObject({
      consecutiveFailures: 2,
      lastFailureAt: recently,
      lastError: expect.stringMatching(/^Bad HTTP response: 50[03]$/) as string,
    });
  await expect
    .poll(() => show(mixed.name))
    .toMatchObject({
      consecutiveFailures: 1,
      lastError: 'Bad HTTP response: 404',
    });
  // A success in a later batch clears them.
  await publishTogether(environment, [{ subscription: mixed, data: 200 }]);
  await expect
    .poll(() => show(mixed.name))
    .toMatchObject({
      consecutiveFailures: 0,
      lastSuccessAt: recently,
      lastFailureAt: recently,
      lastError: null,
    });
  for (const { handle } of ofBad) await handle.terminate();
  await receiver.close();
});
