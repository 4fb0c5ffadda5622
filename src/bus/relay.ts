import type { Client } from '@temporalio/client';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { startListener } from '../database/listener.ts';
import type { OpenBatches } from '../egress/open-batches.ts';
import type { Logger } from '../logging.ts';
import { type ControlOptions, createControl } from './control.ts';
import { dispatchBatch } from './dispatch-events.ts';
import { DispatchPace } from './dispatch-pace.ts';
import { publishHealth } from './health.ts';
import { Outage } from './outage.ts';
import { readJobEvent } from './read-job-events.ts';
import { continueDeliveries, reviveStrays, startDeliveries } from './start-deliveries.ts';
import { StandbyBatches } from './standby-batches.ts';
import { submitBatch } from './submit-jobs.ts';
import { SubscriptionsCache } from './subscriptions-cache.ts';
import { startWorkLoop, type WorkLoopOptions } from './work-loop.ts';

export interface RelayOptions {
  db: ForgeflowDatabase;
  /** For the connection that listens, besides those of `db`. */
  databaseUrl: string;
  /** On the connection of this process' workers. */
  temporal: Client;
  logger: Logger;
  /** Subscriptions in lane `auto` go express while more of their deliveries wait than this. */
  expressBacklog: number;
  /** Those of this process. */
  openBatches: OpenBatches;
  /** What this worker calls itself on the bus. */
  workerName: string;
  /** Somebody asked by the bus for an orderly end. */
  onStop: ControlOptions['onStop'];
  intervals?: Partial<Intervals> | undefined;
}

/** In ms. */
export interface Intervals {
  /** How often the tables are looked at without a notification, which may get lost. */
  poll: number;
  reload: number;
  health: number;
  strays: number;
}

const INTERVALS: Intervals = { poll: 1_000, reload: 60_000, health: 30_000, strays: 5_000 };
/** While deliveries wait for places that others have, how soon to look again: twice as long each time, up to… */
const CROWDED_MS = { first: 50, longest: 400 };

/** While few come, those that come next are gathered for a moment: a transaction for each would be most of what it costs. */
const AFTER_EVENTS_MS = 3;
/** A batch that was started with few soon takes more, most likely; another one would cost as much as all that come then. */
const OPENS_WITHIN_MS = 25;
const MANY = 50;

export interface Relay {
  /** Takes nothing more off the bus; resolves when what is under way is done. */
  stop(): Promise<void>;
}

/** Takes events off the bus and brings deliveries and jobs under way, as long as the worker runs. */
export function startRelay(options: RelayOptions): Relay {
  const { db, databaseUrl, temporal, logger, workerName, openBatches } = options;
  const intervals = { ...INTERVALS, ...options.intervals };
  const outage = new Outage(logger);
  const subscriptions = new SubscriptionsCache(logger);
  const control = createControl({ db, logger, onStop: options.onStop });
  let crowdedMs = CROWDED_MS.first;
  /** Deliveries that wait to be started, as far as is known here. */
  let waiting = 0;

  const starts = { db, temporal, logger, expressBacklog: options.expressBacklog, openBatches };
  const pace = new DispatchPace(openBatches);
  const standby = new StandbyBatches({ temporal, openBatches, logger });
  const loop = (name: string, work: WorkLoopOptions['work']) => startWorkLoop({ name, work, outage });

  const starting = loop('starting deliveries', async () => {
    const known = waiting;
    waiting = 0;
    const looked = pace.looking();
    const { started, batches, crowded, isShort } = await startDeliveries(starts, known);
    looked(isShort);
    if (crowded) waiting = Infinity;
    crowdedMs = started > 0 ? CROWDED_MS.first : Math.min(crowdedMs * 2, CROWDED_MS.longest);
    if (crowded) return crowdedMs;
    if (started === 0) return intervals.poll;
    if (batches > 0 && started < MANY) await openBatches.whenFree(1, OPENS_WITHIN_MS);
    return 0;
  });
  const dispatching = loop('dispatching events', async () => {
    const dispatched = await dispatchBatch(db, subscriptions, openBatches, await pace.next());
    pace.dispatched(dispatched);
    const { events, isFull, express, handed, waiting: left } = dispatched;
    if (events === 0) return intervals.poll;
    waiting += left;
    if (left > 0) starting.wake();
    if (handed > 0 || isFull) standby.follow(express);
    interpreting.wake();
    // What comes meanwhile wakes it.
    return { pauseMs: events < MANY ? AFTER_EVENTS_MS : 0, restMs: isFull ? 0 : intervals.poll };
  });
  const interpreting = loop('reading events for jobs', async () => {
    if (!(await readJobEvent({ db, logger }))) return intervals.poll;
    submitting.wake();
    return 0;
  });
  const submitting = loop('submitting jobs', async () => {
    return (await submitBatch({ db, temporal, logger })) > 0 ? 0 : intervals.poll;
  });
  const reading = loop('reading subscriptions', async () => {
    await subscriptions.reload(db);
    return intervals.reload;
  });
  const continuing = loop('continuing deliveries', async () => {
    return (await continueDeliveries(starts)) > 0 ? 0 : intervals.poll; // their next attempt is minutes away
  });
  const reviving = loop('looking after strays', async () => {
    await reviveStrays(starts);
    return intervals.strays;
  });
  const pulse = loop('publishing health', async () => {
    await publishHealth(db, workerName);
    return intervals.health;
  });

  const listener = startListener({
    url: databaseUrl,
    channels: ['forgeflow_events', 'forgeflow_deliveries', 'forgeflow_subscriptions', 'forgeflow_control'],
    onNotification(channel, payload) {
      if (channel === 'forgeflow_control') control.heard(payload);
      if (channel === 'forgeflow_events') dispatching.wake();
      if (channel === 'forgeflow_deliveries') starting.wake();
      if (channel === 'forgeflow_subscriptions') {
        reading.wake();
        starting.wake(); // one that was enabled, or whose breaker closed, may have deliveries waiting
      }
    },
    onListening() {
      outage.ends('listening');
      control.catchUp();
      for (const one of [dispatching, reading, starting]) one.wake();
    },
    onLost(error) {
      outage.begins('listening', error);
    },
  });

  return {
    async stop() {
      const parts = [listener, dispatching, starting, continuing, interpreting, submitting, reading, reviving, pulse];
      await Promise.all(parts.map((one) => one.stop()));
      await standby.settled();
    },
  };
}
