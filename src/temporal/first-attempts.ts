import { type Client, WorkflowIdConflictPolicy, WorkflowNotFoundError } from '@temporalio/client';
import type { deliverFirstAttempts } from '../../workflows/deliver-first-attempts.ts';
import { subscriptionsKey } from '../../workflows/search-attributes.ts';
import { BATCH_SIZE, firstAttemptsWorkflowId } from '../domain/first-attempts.ts';
import { namesWithin, searchable } from '../domain/names-within.ts';
import { EGRESS_QUEUE } from './task-queues.ts';

/** What a batch of first attempts is started with. */
export interface BatchStart {
  id: string;
  /** Those it begins with: none, where they are yet to come. */
  deliveryIds: string[];
  /** Whose they are, or will be most likely. */
  subscriptions: { id: string; name: string }[];
}

/** Starts the workflow of a batch; one that is there already is let be. @param client as for `startOrWakeDelivery` */
export async function startBatchWorkflow(
  client: Client,
  { id, deliveryIds, subscriptions }: BatchStart,
): Promise<void> {
  const names = subscriptions.map(({ name }) => name);
  const [first, ...others] = subscriptions;
  await client.workflow.start<typeof deliverFirstAttempts>('deliverFirstAttempts', {
    workflowId: firstAttemptsWorkflowId(id),
    taskQueue: EGRESS_QUEUE,
    args: [{ batchId: id, deliveryIds }],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    requestEagerStart: true,
    // Its task is renewed while attempts are under way: so soon another worker takes over from one that died, or a cancellation
    // is heard of.
    workflowTaskTimeout: '5 seconds',
    staticSummary: `up to ${BATCH_SIZE} at once → ${inShort(names)}`,
    ...(first !== undefined && others.length === 0 ? { priority: { fairnessKey: first.id } } : {}),
    typedSearchAttributes: [{ key: subscriptionsKey, value: searchable(names) }],
  });
}

/** Whether the workflow of a batch still has something in hand, so that its deliveries are looked after. */
export async function isBatchUnderWay(client: Client, batchId: string): Promise<boolean> {
  try {
    const { status, raw } = await client.workflow.getHandle(firstAttemptsWorkflowId(batchId)).describe();
    const isBusy = Boolean(raw.pendingWorkflowTask) || (raw.pendingActivities ?? []).length > 0;
    return status.name === 'RUNNING' && isBusy;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** The server cuts summaries off at 400 bytes. */
const MOST_NAMED_BYTES = 200;

/** Names in a line that fits the Web UI's list. */
function inShort(names: string[]): string {
  const shown = namesWithin(MOST_NAMED_BYTES, names);
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}
