import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fastForward } from '../../src/dev/fast-forward.ts';
import { DEAD_URL, untilClosed, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import {
  expressSleeper,
  hasOwnWorkflow,
  publishNumbers,
  subscribeExpress,
  untilBatchesEnded,
  untilContinued,
  untilOver,
} from '../support/express.ts';
import { activitiesOf, eventsOf } from '../support/history.ts';
import { startReceiver } from '../support/receiver.ts';
import { expectFailedAfter24Hours, expectOnSchedule } from '../support/retry-schedule.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment();
});
afterAll(() => environment.stop());

describe('the 24 hours in the express lane', () => {
  test('E14 D2 D15: a dead receiver is tried exactly 36 times, at first in a batch; then the delivery has failed', async () => {
    const { forgeflow } = environment;
    const { id, handle, subscription } = await expressSleeper(environment, DEAD_URL);
    const [batch] = await untilBatchesEnded(forgeflow, subscription.name);
    expect(batch!.status.name).toBe('COMPLETED');
    const { nextAttemptAt, dateFirstSent, dateSent } = await forgeflow.deliveries.show(id);
    expect(Date.parse(nextAttemptAt!) - Date.parse(dateFirstSent!)).toBeLessThan(5 * MINUTE + 5_000);
    expect(await handle.query('deliveryStatus')).toEqual({
      state: 'pending',
      attemptCount: 1,
      failureDetail: 'Connection error: connection refused',
      lastAttemptAt: dateSent,
      nextAttemptAt,
    });
    await fastForward(forgeflow.temporal, handle.workflowId, 30 * HOUR);

    await expectFailedAfter24Hours(forgeflow, { id, handle }, dateFirstSent);
    expect(await activitiesOf(handle)).toBe(35);
    expect((await eventsOf(handle)).length).toBeLessThan(500);
  });

  test('E14 D2 D10: a delivery that gets through at attempt 14 ends there, every attempt under the same webhook-id', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: (_request, index) => (index < 13 ? 404 : 204) });
    const { id, handle } = await expressSleeper(environment, receiver.url);
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

  test('E14 D2: the sleep before attempt 2 ends when the time has come, and not before', async () => {
    const { forgeflow } = environment;
    const { id, handle } = await expressSleeper(environment, DEAD_URL);
    await fastForward(forgeflow.temporal, handle.workflowId, 4 * MINUTE);
    expect((await forgeflow.deliveries.show(id)).attemptCount).toBe(1);
    await fastForward(forgeflow.temporal, handle.workflowId, 2 * MINUTE);
    await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 2);
    await handle.terminate();
  });

  test('E14 D15: a batch in which nothing fails is a single local activity, with a history as short as one delivery has', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, 100);
    for (const delivery of deliveries) expect(await untilOver(forgeflow, delivery)).toMatchObject({ attemptCount: 1 });
    for (const { workflowId } of await untilBatchesEnded(forgeflow, subscription.name)) {
      const handle = forgeflow.temporal.workflow.getHandle(workflowId);
      const events = await eventsOf(handle);
      expect(events.length).toBeLessThan(12);
      expect(events.filter(({ markerRecordedEventAttributes: marker }) => Boolean(marker)).length).toBe(1);
    }
    expect(await hasOwnWorkflow(deliveries[0]!)).toBe(false);
    await receiver.close();
  });
});

describe('what a receiver answers in the express lane', () => {
  test.each([
    { status: 429, header: '1800', waitMs: 30 * MINUTE },
    { status: 503, header: '7200', waitMs: HOUR },
    { status: 503, header: '1', waitMs: 5 * MINUTE },
    { status: 500, header: '1800', waitMs: 5 * MINUTE },
  ])(
    'E14 D12: $status with Retry-After: $header is tried again after $waitMs ms',
    async ({ status, header, waitMs }) => {
      const { forgeflow } = environment;
      const receiver = await startReceiver({ answer: { status, headers: { 'retry-after': header } } });
      const { id, handle } = await expressSleeper(environment, receiver.url);
      const { dateSent, nextAttemptAt } = await forgeflow.deliveries.show(id);
      const waits = Date.parse(nextAttemptAt!) - Date.parse(dateSent!);
      expect(waits).toBeGreaterThanOrEqual(waitMs);
      expect(waits).toBeLessThan(waitMs + 5_000);
      await fastForward(forgeflow.temporal, handle.workflowId, waitMs - MINUTE);
      expect(receiver.requests.length).toBe(1);
      await receiver.close();
      await handle.terminate();
    },
  );

  test('E14 D3 D4: in one batch each answer counts by itself', async () => {
    const { forgeflow } = environment;
    const answers = [200, 201, 204, 302, 404, 500];
    const receiver = await startReceiver({
      answer: ({ rawBody }) => ({ status: answers[Number(rawBody.toString())]!, headers: { location: DEAD_URL } }),
    });
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, answers.length);
    await untilContinued(environment, deliveries.slice(3));
    for (const [at, { id }] of deliveries.entries()) {
      const isGood = at < 3;
      expect(await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 1)).toMatchObject({
        state: isGood ? 'delivered' : 'pending',
        successful: isGood ? true : null,
        failureDetail: isGood ? null : `Bad HTTP response: ${answers[at]!}`,
        attempts: [{ number: 1, statusCode: answers[at] }],
      });
    }
    expect(receiver.requests.length).toBe(answers.length);
    await receiver.close();
  });

  test('E14 D2: a delivery whose only attempt of a batch falls past its 24 h has failed, without a workflow of its own', async () => {
    const { forgeflow, database } = environment;
    const delivery = await expressSleeper(environment, DEAD_URL);
    await forgeflow.deliveries.cancel(delivery.id);
    await untilClosed(delivery);
    const { runId } = await delivery.handle.describe();
    await database.db
      .updateTable('deliveries')
      // As an attempt leaves one that it has ended.
      .set({ state: 'failed', carrier: null, window_started_at: new Date(Date.now() - 25 * HOUR) })
      .where('id', '=', delivery.id)
      .execute();
    await forgeflow.deliveries.redeliver(delivery.id, { reset: false });
    expect(await untilOver(forgeflow, delivery)).toMatchObject({ state: 'failed', attemptCount: 2 });
    expect((await delivery.handle.describe()).runId).toBe(runId);
  });
});
