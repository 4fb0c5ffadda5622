import { attemptsOf } from './bus-laws.ts';
import { isPublished } from './bus-plan.ts';
import type { BusRun } from './bus-run.ts';
import type { BusStage } from './bus-stage.ts';

/** What was done in a run, and what it came to, in numbers. */
export function summarize(
  { faults, publishingMs, waitedMs, batches, ownWorkflows, evidence }: BusRun,
  { crew }: BusStage,
) {
  const { events, arrivals, deliveries } = evidence;
  const published = events.filter(isPublished);
  const latencies = deliveries
    .flatMap(({ eventId, subscription, publishedAt }) => {
      const pair = arrivals.get(eventId, subscription);
      return pair === undefined ? [] : [pair.firstAt - publishedAt.getTime()];
    })
    .sort((a, b) => a - b);
  const latency = (share: number): number => seconds(latencies[Math.floor((latencies.length - 1) * share)] ?? 0);
  return {
    sent: published.length,
    sentTwice: published.filter(({ publishedBy }) => publishedBy.filter((by) => by !== 'rollback').length > 1).length,
    rolledBack: events.length - published.length,
    arrived: arrivals.count,
    doubled: arrivals.requests - arrivals.count,
    attempts: attemptsOf(deliveries),
    batches,
    deliveredByBatches: deliveries.length - ownWorkflows,
    deliveredByOwnWorkflows: ownWorkflows,
    laneChanges: faults.laneChanges,
    workersKilled: crew.kills,
    workersRetired: crew.orderlyEnds.length,
    temporalRestarts: faults.temporalRestarts,
    postgresRestarts: faults.postgresRestarts,
    listenersCut: faults.listenersCut,
    seconds: seconds(publishingMs + waitedMs),
    perSecond: Math.round((arrivals.count / (publishingMs + waitedMs)) * 10_000) / 10,
    secondsAfterTheLastFault: seconds(waitedMs),
    medianSecondsOnTheWay: latency(0.5),
    slowestSecondsOnTheWay: latency(1),
  };
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
