import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LANES, type Lane } from '../../src/domain/lane.ts';
import { type StartedDelivery, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import {
  batchesTo,
  deliveriesOf,
  hasOwnWorkflow,
  publishNumbers,
  publishTogether,
  subscribeExpress,
  untilBatchesEnded,
  untilContinued,
  untilCount,
  untilOver,
} from '../support/express.ts';
import { idsOf, startHoldingReceiver } from '../support/holding-receiver.ts';
import { startReceiver, verify } from '../support/receiver.ts';

const BACKLOG = 20;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    timeoutMs: 10_000,
    intervals: { poll: 100 },
    settings: { BREAKER_FAILURES: '1000', EXPRESS_BACKLOG: String(BACKLOG) },
  });
});
afterAll(() => environment.stop());

/** Which of them have, or had, workflows of their own. */
async function ownWorkflows(deliveries: StartedDelivery[]): Promise<number> {
  return (await Promise.all(deliveries.map(hasOwnWorkflow))).filter(Boolean).length;
}

describe('the lane of a subscription', () => {
  test('E14: is workflow by default, and takes effect from the next event on', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url, { lane: undefined });
    expect(subscription.lane).toBe('workflow');
    for (const [lane, own] of [
      ['workflow', 3],
      ['express', 0],
      ['workflow', 3],
    ] as const) {
      expect(await forgeflow.subscriptions.update(subscription.name, { lane })).toMatchObject({ lane });
      const deliveries = await publishNumbers(environment, subscription, 3);
      for (const delivery of deliveries)
        expect(await untilOver(forgeflow, delivery)).toMatchObject({ attemptCount: 1 });
      expect(await ownWorkflows(deliveries)).toBe(own);
    }
    await receiver.close();
  });

  test('E14: a change while events flow loses none and doubles none', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url, { lane: 'workflow' });
    const lanes: Lane[] = ['express', 'auto', 'workflow', 'express', 'workflow', 'auto'];
    const rounds: StartedDelivery[][] = [];
    for (const lane of lanes) {
      const round = publishTogether(
        environment,
        Array.from({ length: 60 }, (_, n) => ({ subscription, data: rounds.length * 60 + n })),
      );
      await forgeflow.subscriptions.update(subscription.name, { lane });
      rounds.push(await round);
    }
    await untilCount(forgeflow, subscription.name, 'delivered', 360, 40_000);
    const ids = rounds.flat().map(({ id }) => id);
    expect(idsOf(receiver.requests).toSorted()).toEqual(ids.toSorted());
    const numbers = receiver.requests.map((request) => Number(verify(request, subscription.secret)));
    expect(numbers.sort((a, b) => a - b)).toEqual(ids.map((_id, at) => at));
    for (const { attemptCount } of await deliveriesOf(forgeflow, subscription.name)) expect(attemptCount).toBe(1);
    await untilBatchesEnded(forgeflow, subscription.name); // or they would take what comes next
    await receiver.close();
  });

  test('E14: a change does not touch what is in a batch, nor what has a workflow of its own and waits for attempt 2', async () => {
    const { forgeflow } = environment;
    const receiver = await startHoldingReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const batched = await publishNumbers(environment, subscription, 2);
    await receiver.waitForRequests(2);
    await forgeflow.subscriptions.update(subscription.name, { lane: 'workflow' });
    receiver.letGo(500);
    await untilContinued(environment, batched);
    await forgeflow.subscriptions.update(subscription.name, { lane: 'express' });
    for (const { id } of batched) await forgeflow.deliveries.retry(id);
    for (const { id } of batched) await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 2);
    for (const { handle } of batched) {
      await expect.poll(() => handle.query('deliveryStatus')).toMatchObject({ attemptCount: 2 });
      await handle.terminate();
    }
    expect(receiver.requests.length).toBe(4);
    expect((await batchesTo(forgeflow, subscription.name)).length).toBe(1);
    await receiver.close();
  });

  test('E14: another than these is refused', async () => {
    const { forgeflow } = environment;
    const { name, lane } = await subscribeExpress(environment, 'http://127.0.0.1:1/hook', { lane: 'auto' });
    expect(lane).toBe('auto');
    await expect(forgeflow.subscriptions.update(name, { lane: 'fast' as Lane })).rejects.toMatchObject({
      message: expect.stringContaining(LANES.join(', ')) as string,
    });
    expect(await forgeflow.subscriptions.show(name)).toMatchObject({ lane: 'auto' });
  });
});

test('E14: auto goes by workflows of their own up to the backlog, by batches above it, and back', async () => {
  const { forgeflow } = environment;
  const receiver = await startReceiver();
  const subscription = await subscribeExpress(environment, receiver.url, { lane: 'auto' });
  const batches = async () => (await batchesTo(forgeflow, subscription.name)).length;

  const few = await publishNumbers(environment, subscription, 5);
  for (const delivery of few) await untilOver(forgeflow, delivery);
  expect([await ownWorkflows(few), await batches()]).toEqual([5, 0]);

  const many = await publishNumbers(environment, subscription, 3 * BACKLOG);
  for (const delivery of many) await untilOver(forgeflow, delivery);
  expect(await ownWorkflows(many)).toBeLessThanOrEqual(BACKLOG); // the last of them may be below it again
  await expect.poll(batches).toBeGreaterThan(0);

  const again = await publishNumbers(environment, subscription, 5);
  for (const delivery of again) await untilOver(forgeflow, delivery);
  expect(await ownWorkflows(again)).toBe(5);
  expect(receiver.requests.length).toBe(5 + 3 * BACKLOG + 5);
  await receiver.close();
});
