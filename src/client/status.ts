import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { countDeliveries } from '../database/deliveries.ts';
import { countSubscriptions } from '../database/subscriptions.ts';
import { DELIVERY_STATES, type DeliveryState } from '../domain/delivery.ts';
import { SUBSCRIPTION_STATES, type SubscriptionState } from '../domain/subscription.ts';
import { EGRESS_QUEUE, FORGEFLOW_QUEUE, type TaskQueue } from '../temporal/task-queues.ts';
import type { ClientContext } from './context.ts';

export interface QueueStatus {
  queue: TaskQueue;
  kind: 'workflow' | 'activity';
  /** Worker processes that asked for work lately. */
  workers: number;
  /** Tasks that wait for a worker, as the server estimates. */
  backlog: number;
}

export interface SystemStatus {
  queues: QueueStatus[];
  deliveries: Record<DeliveryState, number>;
  subscriptions: Record<SubscriptionState, number>;
}

export async function readStatus({ db, temporal }: ClientContext): Promise<SystemStatus> {
  const [queues, deliveries, subscriptions] = await Promise.all([
    Promise.all([
      readQueue(temporal, FORGEFLOW_QUEUE, 'workflow'),
      readQueue(temporal, FORGEFLOW_QUEUE, 'activity'),
      readQueue(temporal, EGRESS_QUEUE, 'activity'),
    ]),
    countDeliveries(db),
    countSubscriptions(db),
  ]);
  return {
    queues,
    deliveries: countsOf(DELIVERY_STATES, deliveries),
    subscriptions: countsOf(SUBSCRIPTION_STATES, subscriptions),
  };
}

async function readQueue(client: Client, queue: TaskQueue, kind: QueueStatus['kind']): Promise<QueueStatus> {
  const types = proto.temporal.api.enums.v1.TaskQueueType;
  const { pollers, stats } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: kind === 'workflow' ? types.TASK_QUEUE_TYPE_WORKFLOW : types.TASK_QUEUE_TYPE_ACTIVITY,
    reportStats: true,
  });
  return {
    queue,
    kind,
    workers: new Set(pollers.map(({ identity }) => identity)).size,
    backlog: Number(stats?.approximateBacklogCount ?? 0),
  };
}

function countsOf<S extends string>(states: readonly S[], counts: { state: S; count: number }[]): Record<S, number> {
  const found = new Map(counts.map(({ state, count }) => [state, count]));
  return Object.fromEntries(states.map((state) => [state, found.get(state) ?? 0])) as Record<S, number>;
}
