import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
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
import { type DeliveryState, deliveryWorkflowId } from '../domain/delivery.ts';
import { reach } from './connection.ts';
import { FORGEFLOW_QUEUE } from './task-queues.ts';

/** What a delivery's workflow is started with. */
export interface DeliveryStart {
  id: string;
  topic: string;
  subscriptionId: string;
  /** Its subscription's name and URL. */
  subscription: string;
  url: string;
  /** Attempts already made, of earlier rounds, or in a batch. */
  attemptCount: number;
}

/** One whose last attempt was made in a batch, and failed. */
export interface DeliveryContinuation extends DeliveryStart {
  failureDetail: string | null;
  lastAttemptAt: Date;
  nextAttemptAt: Date;
}

/**
 * Starts the workflow of a delivery; one that is there already is woken.
 * @param client on the connection of this process' own workers, where one of them may get the first task right away
 */
export async function startOrWakeDelivery(client: Client, delivery: DeliveryStart): Promise<void> {
  if (!(await startDelivery(client, delivery))) await wakeOrStartDelivery(client, delivery);
}

/** The same for a delivery that may well be under way: one that has something to do already is left alone. */
export async function reviveDelivery(client: Client, delivery: DeliveryStart): Promise<void> {
  if (await startDelivery(client, delivery)) return;
  const { raw } = await client.workflow.getHandle(deliveryWorkflowId(delivery.id)).describe();
  const isBusy = Boolean(raw.pendingWorkflowTask) || (raw.pendingActivities ?? []).length > 0;
  if (!isBusy) await wakeOrStartDelivery(client, delivery);
}

/** @returns false when it is running already */
async function startDelivery(client: Client, delivery: DeliveryStart): Promise<boolean> {
  try {
    await client.workflow.start<typeof deliverWebhook>('deliverWebhook', {
      ...startOptions(delivery),
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
      requestEagerStart: true,
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** Starts the workflow of a delivery whose next attempt is to come; one that is there already is let be. */
export async function continueDelivery(client: Client, delivery: DeliveryContinuation): Promise<void> {
  const { id, attemptCount, failureDetail, lastAttemptAt, nextAttemptAt } = delivery;
  const attempted = {
    failureDetail,
    lastAttemptAt: lastAttemptAt.toISOString(),
    nextAttemptAt: nextAttemptAt.toISOString(),
  };
  await client.workflow.start<typeof deliverWebhook>('deliverWebhook', {
    ...startOptions(delivery, 'pending'),
    args: [{ deliveryId: id, attemptsMade: attemptCount, attempted }],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
  });
}

/**
 * Makes a delivery be looked at now. Its workflow is started where there is none; one that is about to end gets the
 * signal first and looks once more.
 */
export async function wakeOrStartDelivery(client: Client, delivery: DeliveryStart): Promise<void> {
  await client.workflow.signalWithStart('deliverWebhook', {
    ...startOptions(delivery),
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    signal: retryNowSignal,
  });
}

/**
 * Tells the workflow of a delivery, where there is one, that the delivery was changed in the database. What was changed
 * there holds anyhow: a workflow that is not told, because Temporal is away, learns of it at its next attempt.
 */
export async function wakeDelivery(client: Client, deliveryId: string): Promise<void> {
  await unlessAway(client, () => wake(client, deliveryWorkflowId(deliveryId)));
}

async function unlessAway(client: Client, tell: () => Promise<void>): Promise<void> {
  try {
    await reach(client);
  } catch {
    return;
  }
  await tell();
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
  await unlessAway(client, () => wakeAll(client, subscription));
}

async function wakeAll(client: Client, subscription: string): Promise<void> {
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

function startOptions(
  { id, topic, subscriptionId, subscription, url, attemptCount }: DeliveryStart,
  state: DeliveryState = 'delivered',
) {
  return {
    workflowId: deliveryWorkflowId(id),
    taskQueue: FORGEFLOW_QUEUE,
    args: [{ deliveryId: id, attemptsMade: attemptCount }],
    // The host alone: paths and queries of webhook URLs often are secrets.
    staticSummary: `${topic} → ${subscription} (${URL.canParse(url) ? new URL(url).host : 'malformed URL'})`,
    // Where the server has fairness on, its queues take turns between subscriptions.
    priority: { fairnessKey: subscriptionId },
    typedSearchAttributes: [
      { key: subscriptionKey, value: subscription },
      { key: topicKey, value: topic },
      { key: stateKey, value: state },
    ],
  } satisfies WorkflowStartOptions<typeof deliverWebhook>;
}

/** One request to a subscription, now, whatever its state; it is not a delivery and leaves no record. */
export async function runTestSend(client: Client, subscription: { id: string; name: string }): Promise<TestSendResult> {
  await reach(client);
  return client.workflow.execute<typeof testSubscription>('testSubscription', {
    workflowId: `test/${subscription.name}/${uuid()}`,
    taskQueue: FORGEFLOW_QUEUE,
    args: [subscription.id],
    workflowExecutionTimeout: '3 minutes',
    staticSummary: `test.ping → ${subscription.name}`,
    typedSearchAttributes: [{ key: subscriptionKey, value: subscription.name }],
  });
}
