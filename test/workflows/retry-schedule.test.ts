import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fastForward } from '../../src/dev/fast-forward.ts';
import { DEAD_URL, deliverTo, sleepingDelivery, untilClosed, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventsOf } from '../support/history.ts';
import { startReceiver } from '../support/receiver.ts';
import { expectFailedAfter24Hours, expectOnSchedule } from '../support/retry-schedule.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment();
});
afterAll(() => environment.stop());

describe('the 24 hours', () => {
  test('D2 D15 a dead receiver is tried exactly 36 times, the last one at 24 h; then the delivery has failed', async () => {
    const { forgeflow } = environment;
    const { id, handle } = await sleepingDelivery(forgeflow);
    const { nextAttemptAt, dateFirstSent } = await forgeflow.deliveries.show(id);
    expect(Date.parse(nextAttemptAt!) - Date.parse(dateFirstSent!)).toBeLessThan(5 * MINUTE + 5_000);
    await fastForward(forgeflow.temporal, handle.workflowId, 30 * HOUR);

    await expectFailedAfter24Hours(forgeflow, { id, handle }, dateFirstSent);
    expect((await eventsOf(handle)).length).toBeLessThan(500);
  });

  test('D2 D10 a delivery that gets through at attempt 14 ends there, every attempt under the same webhook-id', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: (_request, index) => (index < 13 ? 404 : 204) });
    const { id, handle } = await deliverTo(forgeflow, receiver.url);
    await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 1);
    await fastForward(forgeflow.temporal, handle.workflowId, 30 * HOUR);

    expect(await handle.result()).toMatchObject({ state: 'delivered', attemptCount: 14, failureDetail: null });
    const delivery = await forgeflow.deliveries.show(id);
    expectOnSchedule(delivery, 14);
    expect(delivery).toMatchObject({ state: 'delivered', successful: true, failureDetail: null, nextAttemptAt: null });
    expect(delivery.attempts.map(({ statusCode }) => statusCode)).toEqual([
      ...Array.from({ length: 13 }, () => 404),
      204,
    ]);
    expect(receiver.requests.map(({ headers }) => headers['webhook-id'])).toEqual(Array.from({ length: 14 }, () => id));
    expect(receiver.requests.map(({ headers }) => Number(headers['x-forgeflow-attempt']))).toEqual(
      Array.from({ length: 14 }, (_, index) => index + 1),
    );
    await receiver.close();
  });

  test('D2 the sleep ends when the time has come, and not before', async () => {
    const { forgeflow } = environment;
    const { id, handle } = await sleepingDelivery(forgeflow);
    await fastForward(forgeflow.temporal, handle.workflowId, 4 * MINUTE);
    expect((await forgeflow.deliveries.show(id)).attemptCount).toBe(1);
    await fastForward(forgeflow.temporal, handle.workflowId, 2 * MINUTE);
    await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 2);
    await handle.terminate();
  });
});

describe('what a receiver asks for', () => {
  test.each([
    { status: 429, header: '1800', waitMs: 30 * MINUTE },
    { status: 503, header: '7200', waitMs: HOUR },
    { status: 503, header: '1', waitMs: 5 * MINUTE },
    { status: 500, header: '1800', waitMs: 5 * MINUTE },
  ])('D12 $status with Retry-After: $header is tried again after $waitMs ms', async ({ status, header, waitMs }) => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: { status, headers: { 'retry-after': header } } });
    const { id, handle } = await deliverTo(forgeflow, receiver.url);
    const { dateSent, nextAttemptAt } = await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 1);
    const waits = Date.parse(nextAttemptAt!) - Date.parse(dateSent!);
    expect(waits).toBeGreaterThanOrEqual(waitMs);
    expect(waits).toBeLessThan(waitMs + 5_000);
    await fastForward(forgeflow.temporal, handle.workflowId, waitMs - MINUTE);
    expect(receiver.requests.length).toBe(1);
    await receiver.close();
    await handle.terminate();
  });

  test('D12 410 Gone ends the delivery and disables the subscription', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: 410 });
    const { id, handle, subscription } = await deliverTo(forgeflow, receiver.url);
    expect(await untilClosed({ handle })).toBe('FAILED');
    expect(await forgeflow.deliveries.show(id)).toMatchObject({
      state: 'failed',
      failureDetail: 'Bad HTTP response: 410',
      attemptCount: 1,
    });
    expect((await forgeflow.subscriptions.show(subscription.name)).state).toBe('paused');
    await receiver.close();
  });

  test('D12 410 Gone also ends what still waits for a retry at that subscription', async () => {
    const { forgeflow } = environment;
    const waiting = await sleepingDelivery(forgeflow);
    const receiver = await startReceiver({ answer: 410 });
    await forgeflow.subscriptions.update(waiting.subscription.name, { url: receiver.url, patterns: ['gone'] });
    await forgeflow.publish({ topic: 'gone', data: null });
    await receiver.waitForRequests(1);
    await expect.poll(async () => (await forgeflow.subscriptions.show(waiting.subscription.name)).state).toBe('paused');
    // In the records at once; its workflow ends when it wakes for the attempt that is none.
    expect(await forgeflow.deliveries.show(waiting.id)).toMatchObject({ state: 'failed', nextAttemptAt: null });
    await fastForward(forgeflow.temporal, waiting.handle.workflowId, 6 * MINUTE);
    expect(await untilClosed(waiting)).toBe('FAILED');
    expect(await forgeflow.deliveries.show(waiting.id)).toMatchObject({
      failureDetail: 'Webhook deactivated',
      attemptCount: 1,
    });
    expect(receiver.requests.length).toBe(1);
    await receiver.close();
  });
});

test('D3 a redirect is not followed and counts as failed', async () => {
  const { forgeflow } = environment;
  const receiver = await startReceiver({ answer: { status: 302, headers: { location: DEAD_URL } } });
  const { id, handle } = await deliverTo(forgeflow, receiver.url);
  const delivery = await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 1);
  expect(delivery).toMatchObject({ pending: true, successful: null, failureDetail: 'Bad HTTP response: 302' });
  await handle.terminate();
  await receiver.close();
});
