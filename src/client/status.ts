import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { countDeliveries, readDeliveryBacklog } from '../database/deliveries.ts';
import { readEventBacklog } from '../database/events.ts';
import { countSubscriptions, listTripped } from '../database/subscriptions.ts';
import { DELIVERY_STATES, type DeliveryState } from '../domain/delivery.ts';
import { SUBSCRIPTION_STATES, type SubscriptionState } from '../domain/subscription.ts';
import { reach } from '../temporal/connection.ts';
import { describeSchedules, type ScheduleStatus } from '../temporal/schedules.ts';
import { EGRESS_QUEUE, FORGEFLOW_QUEUE, GITLAB_QUEUE, type TaskQueue } from '../temporal/task-queues.ts';
import type { ClientContext } from './context.ts';

export interface QueueStatus {
  queue: TaskQueue;
  kind: 'workflow' | 'activity';
  /** Worker processes that asked for work lately. */
  workers: number;
  /** Tasks that wait for a worker, as the server estimates. */
  backlog: number;
}

/** What is stored and not under way yet. Times are ISO 8601, absent is null. */
export interface Backlog {
  /** Events that no relay has dispatched to their subscriptions yet. */
  events: number;
  oldestEventAt: string | null;
  /** Deliveries that wait for room; those that a circuit breaker holds back are with their subscription. */
  deliveries: number;
  oldestDeliveryAt: string | null;
}

/** A subscription whose circuit breaker is open. */
export interface TrippedStatus {
  subscription: string;
  trippedAt: string | null;
  /** When one delivery goes out to see whether the receiver is back. */
  nextProbeAt: string | null;
  lastError: string | null;
  /** Its pending deliveries. */
  waiting: number;
}

export interface SystemStatus {
  /** Null while Temporal does not answer. */
  queues: QueueStatus[] | null;
  /** Null while Temporal does not answer. */
  schedules: ScheduleStatus[] | null;
  backlog: Backlog;
  deliveries: Record<DeliveryState, number>;
  subscriptions: Record<SubscriptionState, number>;
  tripped: TrippedStatus[];
}

export async function readStatus({ db, temporal }: ClientContext): Promise<SystemStatus> {
  const readingTemporal = readTemporal(temporal);
  const [events, waiting, deliveries, subscriptions, tripped] = await Promise.all([
    readEventBacklog(db),
    readDeliveryBacklog(db),
    countDeliveries(db),
    countSubscriptions(db),
    listTripped(db),
  ]).finally(() => readingTemporal.catch(() => null)); // or it would go on after whoever asked has hung up
  const { queues, schedules } = (await readingTemporal) ?? { queues: null, schedules: null };
  return {
    queues,
    schedules,
    backlog: {
      events: events.count,
      oldestEventAt: events.oldestAt?.toISOString() ?? null,
      deliveries: waiting.count,
      oldestDeliveryAt: waiting.oldestAt?.toISOString() ?? null,
    },
    deliveries: countsOf(DELIVERY_STATES, deliveries),
    subscriptions: countsOf(SUBSCRIPTION_STATES, subscriptions),
    tripped: tripped.map(({ name, trippedAt, nextProbeAt, lastError, waiting: pending }) => ({
      subscription: name,
      trippedAt: trippedAt?.toISOString() ?? null,
      nextProbeAt: nextProbeAt?.toISOString() ?? null,
      lastError,
      waiting: pending,
    })),
  };
}

/** When a part is away is when a status is needed most, so the rest of it is shown all the same. */
async function readTemporal(temporal: Client): Promise<{ queues: QueueStatus[]; schedules: ScheduleStatus[] } | null> {
  try {
    await reach(temporal);
  } catch {
    return null;
  }
  const [schedules, ...queues] = await Promise.all([
    describeSchedules(temporal),
    readQueue(temporal, FORGEFLOW_QUEUE, 'workflow'),
    readQueue(temporal, FORGEFLOW_QUEUE, 'activity'),
    readQueue(temporal, EGRESS_QUEUE, 'activity'),
    readQueue(temporal, GITLAB_QUEUE, 'activity'),
  ]);
  return { queues, schedules };
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
