import {
  type Client,
  WorkflowIdConflictPolicy,
  WorkflowNotFoundError,
  type WorkflowStartOptions,
} from '@temporalio/client';
import { v4 as uuid } from 'uuid';
import type { TestSendResult } from '../../activities/test-sends.ts';
import type { deliverWebhook } from '../../workflows/deliver-webhook.ts';
import type { testSubscription } from '../../workflows/test-subscription.ts';
import { retryNowSignal } from '../../workflows/messages.ts';
import { stateKey, subscriptionKey, topicKey } from '../../workflows/search-attributes.ts';
import { deliveryWorkflowId } from '../domain/delivery.ts';
import { FORGEFLOW_QUEUE } from './task-queues.ts';

/** What a delivery's workflow is started with. */
export interface DeliveryStart {
  id: string;
  topic: string;
  /** Its subscription's name and URL. */
  subscription: string;
  url: string;
  /** Attempts already made, of earlier rounds. */
  attemptCount: number;
}

/** Starts the workflow of a delivery; one that runs already goes on. */
export async function startDelivery(client: Client, delivery: DeliveryStart): Promise<void> {
  await client.workflow.start<typeof deliverWebhook>('deliverWebhook', startOptions(delivery));
}

/**
 * Makes a delivery be looked at now. Its workflow is started where there is none; one that is about to end gets the
 * signal first and looks once more.
 */
export async function wakeOrStartDelivery(client: Client, delivery: DeliveryStart): Promise<void> {
  await client.workflow.signalWithStart('deliverWebhook', { ...startOptions(delivery), signal: retryNowSignal });
}

/** Tells the workflow of a delivery, where there is one, that the delivery was changed in the database. */
export async function wakeDelivery(client: Client, deliveryId: string): Promise<void> {
  await wake(client, deliveryWorkflowId(deliveryId));
}

async function wake(client: Client, workflowId: string): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId).signal(retryNowSignal);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** A namespace runs one batch operation at a time, and whoever wants a second one waits for seconds. */
const WOKEN_SINGLY = 100;

/**
 * The same for all deliveries of a subscription; when they are many, the server does it, in the background. One that is
 * overlooked, since the visibility store lags a little, learns of the change at its next attempt.
 */
export async function wakeDeliveriesOf(client: Client, subscription: string): Promise<void> {
  const query = `WorkflowType = 'deliverWebhook' AND ExecutionStatus = 'Running' AND ${subscriptionKey.name} = '${subscription}'`;
  const { count } = await client.workflow.count(query);
  if (count <= WOKEN_SINGLY) {
    for await (const { workflowId } of client.workflow.list({ query })) await wake(client, workflowId);
    return;
  }
  await client.workflowService.startBatchOperation({
    namespace: client.options.namespace,
    jobId: uuid(),
    reason: `subscription ${subscription} was changed`,
    visibilityQuery: query,
    signalOperation: { signal: retryNowSignal.name, identity: 'forgeflow' },
  });
}

function startOptions({ id, topic, subscription, url, attemptCount }: DeliveryStart) {
  return {
    workflowId: deliveryWorkflowId(id),
    taskQueue: FORGEFLOW_QUEUE,
    args: [{ deliveryId: id, attemptsMade: attemptCount }],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    // The host alone: paths and queries of webhook URLs often are secrets.
    staticSummary: `${topic} → ${subscription} (${new URL(url).host})`,
    typedSearchAttributes: [
      { key: subscriptionKey, value: subscription },
      { key: topicKey, value: topic },
      { key: stateKey, value: 'delivered' },
    ],
  } satisfies WorkflowStartOptions<typeof deliverWebhook>;
}

/** One request to a subscription, now, whatever its state; it is not a delivery and leaves no record. */
export async function runTestSend(client: Client, subscription: { id: string; name: string }): Promise<TestSendResult> {
  return client.workflow.execute<typeof testSubscription>('testSubscription', {
    workflowId: `test/${subscription.name}/${uuid()}`,
    taskQueue: FORGEFLOW_QUEUE,
    args: [subscription.id],
    workflowExecutionTimeout: '3 minutes',
    staticSummary: `test.ping → ${subscription.name}`,
    typedSearchAttributes: [{ key: subscriptionKey, value: subscription.name }],
  });
}
