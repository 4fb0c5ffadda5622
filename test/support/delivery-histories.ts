import { fastForward } from '../../src/dev/fast-forward.ts';
import { cancelDeliveryUpdate } from '../../workflows/messages.ts';
import { DEAD_URL, deliverTo, sleepingDelivery, subscribe, untilClosed, untilDelivery } from './deliveries.ts';
import type { Environment } from './environment.ts';
import { eventually } from './eventually.ts';
import {
  batchesTo,
  expressSleeper,
  publishNumbers,
  subscribeExpress,
  untilBatchesEnded,
  untilCount,
} from './express.ts';
import type { Scenarios } from './history-scenario.ts';
import { startHoldingReceiver } from './holding-receiver.ts';
import { startReceiver } from './receiver.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Deliveries, alone and in batches, and the test of a subscription. */
export const deliveryScenarios: Scenarios<Pick<Environment, 'forgeflow' | 'database'>> = {
  async 'deliver-webhook-at-once'({ forgeflow }) {
    const receiver = await startReceiver();
    const { handle } = await deliverTo(forgeflow, receiver.url);
    await untilClosed({ handle });
    await receiver.close();
    return handle;
  },
  async 'deliver-webhook-after-retries'({ forgeflow }) {
    const receiver = await startReceiver();
    const { handle, subscription } = await sleepingDelivery(forgeflow);
    await fastForward(forgeflow.temporal, handle.workflowId, 2 * HOUR);
    await forgeflow.subscriptions.update(subscription.name, { url: receiver.url });
    await fastForward(forgeflow.temporal, handle.workflowId, 2 * HOUR);
    await untilClosed({ handle });
    await receiver.close();
    return handle;
  },
  async 'deliver-webhook-failed-after-24-hours'({ forgeflow }) {
    const { handle } = await sleepingDelivery(forgeflow);
    await fastForward(forgeflow.temporal, handle.workflowId, 25 * HOUR);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-cancelled-by-update'({ forgeflow }) {
    const { handle } = await sleepingDelivery(forgeflow);
    await handle.executeUpdate(cancelDeliveryUpdate);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-cancelled-by-temporal'({ forgeflow }) {
    const { handle } = await sleepingDelivery(forgeflow);
    await handle.cancel();
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-redelivered'({ forgeflow }) {
    const { id, handle } = await sleepingDelivery(forgeflow);
    await forgeflow.deliveries.cancel(id);
    await untilClosed({ handle });
    await forgeflow.deliveries.redeliver(id);
    await fastForward(forgeflow.temporal, handle.workflowId, 2 * HOUR);
    await forgeflow.deliveries.retry(id);
    await fastForward(forgeflow.temporal, handle.workflowId, 25 * HOUR);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-deactivated'({ forgeflow }) {
    const { handle, subscription } = await sleepingDelivery(forgeflow);
    await forgeflow.subscriptions.pause(subscription.name);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-webhook-held-and-released'({ forgeflow, database }) {
    const receiver = await startReceiver();
    const delivery = await sleepingDelivery(forgeflow);
    const { id, handle, subscription } = delivery;
    await forgeflow.subscriptions.update(subscription.name, { url: receiver.url });
    await database.db
      .updateTable('subscriptions')
      .set({ state: 'tripped', tripped_at: new Date(), next_probe_at: new Date(Date.now() + 24 * HOUR) })
      .where('name', '=', subscription.name)
      .execute();
    await fastForward(forgeflow.temporal, handle.workflowId, HOUR);
    await untilDelivery(forgeflow, id, ({ nextAttemptAt }) => nextAttemptAt === null);
    await forgeflow.subscriptions.enable(subscription.name);
    await untilClosed({ handle });
    await receiver.close();
    return handle;
  },
  async 'deliver-webhook-after-a-batch'(environment) {
    const receiver = await startReceiver({ answer: (_request, index) => (index === 0 ? 500 : 200) });
    const { handle } = await expressSleeper(environment, receiver.url);
    await fastForward(environment.forgeflow.temporal, handle.workflowId, 6 * MINUTE);
    await untilClosed({ handle });
    await receiver.close();
    return handle;
  },
  async 'deliver-webhook-after-a-batch-cancelled'(environment) {
    const { id, handle } = await expressSleeper(environment, DEAD_URL);
    await environment.forgeflow.deliveries.cancel(id);
    await untilClosed({ handle });
    return handle;
  },
  async 'deliver-first-attempts'(environment) {
    const receiver = await startReceiver({ answer: ({ rawBody }) => (rawBody.toString() === '1' ? 500 : 200) });
    const subscription = await subscribeExpress(environment, receiver.url);
    await publishNumbers(environment, subscription, 3);
    const [batch] = await untilBatchesEnded(environment.forgeflow, subscription.name);
    await receiver.close();
    return batch!;
  },
  async 'deliver-first-attempts-open'(environment) {
    const [holding, receiver] = [await startHoldingReceiver(), await startReceiver()];
    const other = await subscribeExpress(environment, receiver.url);
    const subscription = await subscribeExpress(environment, holding.url);
    await publishNumbers(environment, subscription, 1);
    await holding.waitForRequests(1);
    await publishNumbers(environment, other, 2);
    await untilCount(environment.forgeflow, other.name, 'delivered', 2);
    holding.letGo(200);
    await untilBatchesEnded(environment.forgeflow, subscription.name);
    const [batch] = await untilBatchesEnded(environment.forgeflow, other.name); // which it was not started for
    await Promise.all([holding.close(), receiver.close()]);
    return batch!;
  },
  async 'deliver-first-attempts-cancelled-by-temporal'(environment) {
    const receiver = await startHoldingReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    await publishNumbers(environment, subscription, 20);
    await receiver.waitForRequests(1);
    const [batch] = await eventually(async () => {
      const batches = await batchesTo(environment.forgeflow, subscription.name);
      if (batches.length === 0) throw new Error('there is no batch');
      return batches;
    });
    await environment.forgeflow.temporal.workflow.getHandle(batch!.workflowId).cancel();
    await new Promise((resolve) => setTimeout(resolve, 6_000)); // it hears of that when its task is renewed
    receiver.letGo(200);
    await untilCount(environment.forgeflow, subscription.name, 'delivered', 20);
    await untilBatchesEnded(environment.forgeflow, subscription.name);
    await receiver.close();
    return batch!;
  },
  async 'test-subscription'({ forgeflow }) {
    const { name } = await subscribe(forgeflow, DEAD_URL);
    await forgeflow.subscriptions.test(name);
    for await (const { workflowId } of forgeflow.temporal.workflow.list({
      query: `WorkflowType = 'testSubscription' AND forgeflowSubscription = '${name}'`,
    })) {
      return forgeflow.temporal.workflow.getHandle(workflowId);
    }
    throw new Error('the test left no workflow');
  },
};
