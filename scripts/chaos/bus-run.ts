import { setTimeout as sleep } from 'node:timers/promises';
import type { Cleanup } from '../bench/cleanup.ts';
import type { Evidence } from './bus-laws.ts';
import { type BusPlan, isPublished, SUBSCRIPTIONS, WORKERS } from './bus-plan.ts';
import type { BusStage } from './bus-stage.ts';
import { carryOut, type FaultsDone } from './faults.ts';
import { showProgress } from './progress.ts';
import { publishAll } from './publishers.ts';
import { Records } from './records.ts';

export interface BusRun {
  faults: FaultsDone;
  /** Until all was published, and all faults were inflicted. */
  publishingMs: number;
  /** From then on until all had come and was written down. */
  waitedMs: number;
  /** Batches of first attempts. */
  batches: number;
  /** Deliveries with a workflow of their own. */
  ownWorkflows: number;
  evidence: Evidence;
}

/** When nothing has come for so long, nothing will: longer than it takes to find out about all that a kill leaves. */
const PATIENCE_MS = 5 * 60_000;
/** What a worker has after SIGTERM for attempts in flight, by default, and 5 s for the rest on a slow machine. */
const GRACE_MS = 20_000;
const BATCHES = 'deliverFirstAttempts';
const WAYS = Object.keys(SUBSCRIPTIONS).length;
/** So many events may wait while more are published: publishing goes on as long as delivering does. */
const leadFor = (events: number): number => Math.max(100, events / 20);

export async function playBus(
  plan: BusPlan,
  { services, arrivals, forgeflow, crew }: BusStage,
  { cleanup, signal, note }: { cleanup: Cleanup; signal: AbortSignal; note: (what: string) => void },
): Promise<BusRun> {
  const events = plan.events.filter(isPublished).length;
  const pairs = events * WAYS;
  let sent = 0;
  const records = new Records(services.databaseUrl);
  cleanup.add(() => records.close());

  const gaveUp = new AbortController();
  const stop = AbortSignal.any([signal, gaveUp.signal]);
  const progress = showProgress({ events, deliveries: pairs });
  let newest = { arrived: 0, at: Date.now() };
  const looking = setInterval(() => {
    progress.update({ sent, arrived: arrivals.count, kills: crew.kills });
    if (arrivals.count !== newest.arrived) newest = { arrived: arrivals.count, at: Date.now() };
    else if (Date.now() - newest.at > PATIENCE_MS) gaveUp.abort();
  }, 200);
  const endLooking = (): void => {
    clearInterval(looking);
    progress.stop();
  };
  cleanup.add(endLooking);

  const began = Date.now();
  const breaking = carryOut({
    faults: plan.faults,
    crew,
    services,
    forgeflow,
    progress: () => arrivals.count / pairs,
    note,
    signal: stop,
  });
  const publishing = publishAll({
    events: plan.events,
    forgeflow,
    databaseUrl: services.databaseUrl,
    onPublished: () => (sent += 1),
    isEnough: () => sent - arrivals.count / WAYS > leadFor(events),
    signal: stop,
  });
  const [faults] = await Promise.all([breaking, publishing]).catch((error: unknown) => {
    gaveUp.abort(); // when one of the two breaks down, the other must not go on for ever
    throw error;
  });
  const published = Date.now();
  note('all is published, and nothing is broken any more');
  while (!stop.aborted && !(await isAllDone())) await sleep(200);
  const done = Date.now();
  note(stop.aborted ? 'nothing comes any more' : 'all has come');
  await crew.stop();
  endLooking();

  async function isAllDone(): Promise<boolean> {
    if (arrivals.count < pairs) return false;
    const { undispatched, pending } = await records.backlog();
    return undispatched === 0 && pending === 0 && (await workflowsIn('Running')) === 0;
  }

  async function workflowsIn(status: 'Running' | 'Failed'): Promise<number> {
    return count(`WorkflowType IN ('deliverWebhook', '${BATCHES}') AND ExecutionStatus = '${status}'`);
  }

  async function count(query: string): Promise<number> {
    return (await forgeflow.temporal.workflow.count(query)).count;
  }

  return {
    faults,
    publishingMs: published - began,
    waitedMs: done - published,
    batches: await count(`WorkflowType = '${BATCHES}'`),
    ownWorkflows: await count(`WorkflowType = 'deliverWebhook'`),
    evidence: {
      events: plan.events,
      arrivals,
      storedIds: await records.eventIds(),
      deliveries: await records.deliveries(),
      workflows: { running: await workflowsIn('Running'), failed: await workflowsIn('Failed') },
      orderlyEnds: crew.orderlyEnds,
      interruptions: crew.kills + WORKERS * faults.temporalRestarts,
      crashes: crew.crashes,
      graceMs: GRACE_MS,
    },
  };
}
