import { type Client, WorkflowIdConflictPolicy, WorkflowNotFoundError } from '@temporalio/client';
import type { deliverFirstAttempts } from '../../workflows/deliver-first-attempts.ts';
import { subscriptionsKey } from '../../workflows/search-attributes.ts';
import { firstAttemptsWorkflowId } from '../domain/first-attempts.ts';
import { EGRESS_QUEUE } from './task-queues.ts';

/** What a batch of first attempts is started with. */
export interface BatchStart {
  id: string;
  deliveries: { id: string; subscriptionId: string; subscription: string }[];
}

/** Starts the workflow of a batch; one that is there already is let be. @param client as for `startOrWakeDelivery` */
export async function startBatchWorkflow(client: Client, { id, deliveries }: BatchStart): Promise<void> {
  const names = [...new Set(deliveries.map(({ subscription }) => subscription))];
  const [first] = deliveries;
  await client.workflow.start<typeof deliverFirstAttempts>('deliverFirstAttempts', {
    workflowId: firstAttemptsWorkflowId(id),
    taskQueue: EGRESS_QUEUE,
    args: [{ batchId: id, deliveryIds: deliveries.map((delivery) => delivery.id) }],
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    requestEagerStart: true,
    // Its task is renewed while attempts are under way: so soon another worker takes over from one that died, or a cancellation
    // is heard of.
    workflowTaskTimeout: '5 seconds',
    staticSummary: `${count(deliveries.length, 'delivery', 'deliveries')} → ${inShort(names)}`,
    ...(first !== undefined && names.length === 1 ? { priority: { fairnessKey: first.subscriptionId } } : {}),
    typedSearchAttributes: [{ key: subscriptionsKey, value: within(MOST_INDEXED_BYTES, names) }],
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

/** The server refuses search attributes with values above 2 KiB, and cuts summaries off at 400 bytes. */
const MOST_INDEXED_BYTES = 1_500;
const MOST_NAMED_BYTES = 200;

/** Names in a line that fits the Web UI's list. */
function inShort(names: string[]): string {
  const shown = within(MOST_NAMED_BYTES, names);
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}

/** The first of them, as many as have so many bytes together, one at least. */
function within(bytes: number, names: string[]): string[] {
  let left = bytes;
  return names.filter((name, at) => (left -= Buffer.byteLength(name)) >= 0 || at === 0);
}

const count = (amount: number, one: string, many: string): string => `${amount} ${amount === 1 ? one : many}`;
