import type { Client } from '@temporalio/client';
import { countDeliveries, readDeliveryBacklog } from '../database/deliveries.ts';
import { readEventBacklog } from '../database/events.ts';
import { readJobBacklog } from '../database/job-requests.ts';
import { countSubscriptions, listTripped } from '../database/subscriptions.ts';
import { DELIVERY_STATES, type DeliveryState } from '../domain/delivery.ts';
import { SUBSCRIPTION_STATES, type SubscriptionState } from '../domain/subscription.ts';
import { reach } from '../temporal/connection.ts';
import type { QueueStatus } from '../temporal/queue-status.ts';
import type { ScheduleStatus } from '../temporal/schedules.ts';
import { CHECKS_QUEUE, EGRESS_QUEUE, FORGEFLOW_QUEUE, GIT_QUEUE, GITLAB_QUEUE } from '../temporal/task-queues.ts';
import type { ClientContext } from './context.ts';
import { type JobStatus, presentJob } from './jobs.ts';

export type { QueueStatus };

/** What is stored and not under way yet. Times are ISO 8601, absent is null. */
export interface Backlog {
  /** Events that no relay has dispatched to their subscriptions yet. */
  events: number;
  oldestEventAt: string | null;
  /** Deliveries that wait for room; those that a circuit breaker holds back are with their subscription. */
  deliveries: number;
  oldestDeliveryAt: string | null;
  /** Events that are still to be read for what they mean to jobs, and jobs that Temporal is still to be told of. */
  jobEvents: number;
  jobRequests: number;
  oldestJobRequestAt: string | null;
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
  /** Jobs that are active, and the ten that died last; null while Temporal does not answer. */
  jobs: { active: number; dead: JobStatus[] } | null;
  backlog: Backlog;
  deliveries: Record<DeliveryState, number>;
  subscriptions: Record<SubscriptionState, number>;
  tripped: TrippedStatus[];
}

export async function readStatus({ db, temporal }: ClientContext): Promise<SystemStatus> {
  const readingTemporal = readTemporal(temporal);
  const [events, waiting, jobBacklog, deliveries, subscriptions, tripped] = await Promise.all([
    readEventBacklog(db),
    readDeliveryBacklog(db),
    readJobBacklog(db),
    countDeliveries(db),
    countSubscriptions(db),
    listTripped(db),
  ]).finally(() => readingTemporal.catch(() => null)); // or it would go on after whoever asked has hung up
  const { queues, schedules, jobs } = (await readingTemporal) ?? { queues: null, schedules: null, jobs: null };
  return {
    queues,
    schedules,
    jobs,
    backlog: {
      events: events.count,
      oldestEventAt: events.oldestAt?.toISOString() ?? null,
      deliveries: waiting.count,
      oldestDeliveryAt: waiting.oldestAt?.toISOString() ?? null,
      jobEvents: jobBacklog.events,
      jobRequests: jobBacklog.requests,
      oldestJobRequestAt: jobBacklog.oldestRequestAt?.toISOString() ?? null,
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

/** The newest dead jobs that a screen shows. */
export const DEAD_SHOWN = 10;

type TemporalStatus = { [Part in 'queues' | 'schedules' | 'jobs']: NonNullable<SystemStatus[Part]> };

/** When a part is away is when a status is needed most, so the rest of it is shown all the same. */
async function readTemporal(temporal: Client): Promise<TemporalStatus | null> {
  try {
    await reach(temporal);
  } catch {
    return null;
  }
  const [{ describeQueue }, { describeSchedules }, { countActiveJobs, listDeadJobs }] = await Promise.all([
    import('../temporal/queue-status.ts'),
    import('../temporal/schedules.ts'),
    import('../temporal/job-log.ts'),
  ]);
  const [schedules, active, dead, ...queues] = await Promise.all([
    describeSchedules(temporal),
    countActiveJobs(temporal),
    listDeadJobs(temporal, DEAD_SHOWN),
    describeQueue(temporal, FORGEFLOW_QUEUE, 'workflow'),
    describeQueue(temporal, FORGEFLOW_QUEUE, 'activity'),
    describeQueue(temporal, EGRESS_QUEUE, 'workflow'),
    describeQueue(temporal, EGRESS_QUEUE, 'activity'),
    describeQueue(temporal, GITLAB_QUEUE, 'activity'),
    describeQueue(temporal, GIT_QUEUE, 'activity'),
    describeQueue(temporal, CHECKS_QUEUE, 'activity'),
  ]);
  return { queues, schedules, jobs: { active, dead: dead.map(presentJob) } };
}

function countsOf<S extends string>(states: readonly S[], counts: { state: S; count: number }[]): Record<S, number> {
  const found = new Map(counts.map(({ state, count }) => [state, count]));
  return Object.fromEntries(states.map((state) => [state, found.get(state) ?? 0])) as Record<S, number>;
}
