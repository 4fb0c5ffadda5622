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
  publishTogether,
  subscribeExpress,
  untilBatchesEnded,
  untilContinued,
  untilCount,
  untilOver,
} from '../support/express.ts';
import { idsOf, startHoldingReceiver, untilNoMoreCome } from '../support/holding-receiver.ts';
import { startReceiver } from '../support/receiver.ts';

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    timeoutMs: 10_000,
    intervals: { poll: 100 },
    settings: { BREAKER_FAILURES: '1000' }, // it would hold back most of what fails here
  });
});
afterAll(() => environment.stop());

const DEACTIVATED = { state: 'failed', successful: false, failureDetail: 'Webhook deactivated', nextAttemptAt: null };
const refused = (kind: string) => expect.objectContaining({ name: 'Refusal', kind }) as Error;

describe('D8 in the express lane: a paused subscription', () => {
  test.each([
    [200, 'delivered', null],
    [500, 'failed', 'Webhook deactivated'],
  ] as const)(
    'E14 D8: of its batch sends nothing more, lets through what is on its way, and takes its answer, %i',
    async (answer, state, failureDetail) => {
      const { forgeflow } = environment;
      const receiver = await startHoldingReceiver();
      const subscription = await subscribeExpress(environment, receiver.url);
      const deliveries = await publishNumbers(environment, subscription, 40);
      await receiver.waitForRequests(1);
      const sent = await untilNoMoreCome(receiver);
      expect(sent.size).toBeLessThan(40);
      await forgeflow.subscriptions.pause(subscription.name);
      expect((await deliveriesOf(forgeflow, subscription.name)).filter(({ pending }) => pending)).toEqual([]);
      await sleep(300); // longer than what was read of a delivery holds
      receiver.letGo(answer);
      await untilBatchesEnded(forgeflow, subscription.name);
      for (const { id } of deliveries) {
        const isSent = sent.has(id);
        const shown = await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === Number(isSent));
        if (!isSent) expect(shown).toMatchObject({ ...DEACTIVATED, attempts: [] });
        else expect(shown).toMatchObject({ state, failureDetail, attempts: [{ statusCode: answer }] });
      }
      expect(receiver.requests.length).toBe(sent.size);
      for (const delivery of deliveries) expect(await hasOwnWorkflow(delivery)).toBe(false);
      await receiver.close();
    },
  );

  test('E14 D8: ends what waits for attempt 2 after a batch, and wakes its workflow', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 500 });
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, 5);
    await untilContinued(environment, deliveries);
    await untilVisible(subscription.name, 5);
    await forgeflow.subscriptions.pause(subscription.name);
    for (const delivery of deliveries) {
      expect(await untilClosed(delivery)).toBe('FAILED');
      expect(await forgeflow.deliveries.show(delivery.id)).toMatchObject({ ...DEACTIVATED, attemptCount: 1 });
    }
    expect(receiver.requests.length).toBe(5);
    await receiver.close();
  });

  test('E14 D8: is sent nothing of a redelivery, and nothing new, until it is enabled', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const [delivery] = await publishNumbers(environment, subscription, 1);
    await untilOver(forgeflow, delivery!);
    await forgeflow.subscriptions.pause(subscription.name);
    await forgeflow.deliveries.redeliver(delivery!.id);
    expect(await untilOver(forgeflow, delivery!)).toMatchObject({ ...DEACTIVATED, attemptCount: 1 });
    await expect(forgeflow.subscriptions.ping(subscription.name)).rejects.toEqual(refused('conflict'));
    expect(receiver.requests.length).toBe(1);

    await forgeflow.subscriptions.enable(subscription.name);
    const [next] = await publishNumbers(environment, subscription, 1);
    expect(await untilOver(forgeflow, next!)).toMatchObject({ state: 'delivered', attemptCount: 1 });
    expect(await hasOwnWorkflow(next!)).toBe(false);
    await receiver.close();
  });
});

describe('D8 in the express lane: a deleted subscription', () => {
  test.each([200, 500, 410])(
    'E14 D8: takes its deliveries along; its batch, answered %i, ends cleanly',
    async (answer) => {
      const { forgeflow, database } = environment;
      const receiver = await startHoldingReceiver();
      const [deleted, other] = [
        await subscribeExpress(environment, receiver.url),
        await subscribeExpress(environment, receiver.url),
      ];
      const deliveries = await publishTogether(
        environment,
        [deleted, other, deleted, other].map((subscription) => ({ subscription, data: subscription.name })),
      );
      await receiver.waitForRequests(4);
      await forgeflow.subscriptions.delete(deleted.name);
      await expect(forgeflow.deliveries.show(deliveries[0]!.id)).rejects.toEqual(refused('not_found'));
      receiver.letGo(answer);
      for (const { id } of [deliveries[1]!, deliveries[3]!]) {
        const shown = await untilDelivery(forgeflow, id, ({ state }) => answer !== 200 || state === 'delivered');
        expect(shown.subscription).toBe(other.name);
      }
      for (const { status } of await untilBatchesEnded(forgeflow, deleted.name)) expect(status.name).toBe('COMPLETED');
      const left = await database.db
        .selectFrom('attempts')
        .select('delivery_id')
        .where('delivery_id', 'in', [deliveries[0]!.id, deliveries[2]!.id])
        .execute();
      expect(left).toEqual([]);
      expect(await hasOwnWorkflow(deliveries[0]!)).toBe(false);
      await receiver.close();
    },
  );

  test('E14 D8: ends the workflow of one that waits for attempt 2 after a batch', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 500 });
    const delivery = await expressSleeper(environment, receiver.url);
    await untilVisible(delivery.subscription.name, 1);
    await forgeflow.subscriptions.delete(delivery.subscription.name);
    expect(await untilClosed(delivery)).toBe('COMPLETED');
    expect(await delivery.handle.result()).toMatchObject({ state: 'deleted', attemptCount: 1 });
    await receiver.close();
  });
});

test('E14 D12: 410 Gone ends its delivery and the others of the batch, pauses the subscription, and starts no workflows', async () => {
  const { forgeflow } = environment;
  const receiver = await startReceiver({ answer: ({ rawBody }) => (rawBody.toString() === '0' ? 410 : 'never') });
  const healthy = await startReceiver();
  const gone = await subscribeExpress(environment, receiver.url);
  const other = await subscribeExpress(environment, healthy.url);
  const deliveries = await publishTogether(environment, [
    ...Array.from({ length: 30 }, (_, data) => ({ subscription: gone, data })),
    ...Array.from({ length: 30 }, (_, data) => ({ subscription: other, data })),
  ]);
  await expect.poll(async () => (await forgeflow.subscriptions.show(gone.name)).state).toBe('paused');
  await untilCount(forgeflow, gone.name, 'failed', 30);
  await untilCount(forgeflow, other.name, 'delivered', 30);
  const sent = await untilNoMoreCome(receiver);
  expect(await forgeflow.deliveries.show(deliveries[0]!.id)).toMatchObject({
    state: 'failed',
    failureDetail: 'Bad HTTP response: 410',
    attempts: [{ statusCode: 410 }],
  });
  for (const { id } of deliveries.slice(1, 30)) expect(await forgeflow.deliveries.show(id)).toMatchObject(DEACTIVATED);
  expect(sent.size).toBe(receiver.requests.length);
  expect(new Set(idsOf(healthy.requests)).size).toBe(30);
  await receiver.close(); // what it held breaks off, and changes nothing
  await untilBatchesEnded(forgeflow, gone.name);
  expect(await batchesTo(forgeflow, gone.name)).not.toEqual([]);
  for (const { id } of deliveries.slice(1, 30)) expect(await forgeflow.deliveries.show(id)).toMatchObject(DEACTIVATED);
  for (const delivery of deliveries) expect(await hasOwnWorkflow(delivery)).toBe(false);
  await healthy.close();
});

/** Waits until the visibility store, by which workflows of a subscription are found and woken, has so many. */
async function untilVisible(name: string, count: number): Promise<void> {
  const query = `WorkflowType = 'deliverWebhook' AND ExecutionStatus = 'Running' AND forgeflowSubscription = '${name}'`;
  await expect.poll(async () => (await environment.forgeflow.temporal.workflow.count(query)).count).toBe(count);
}
