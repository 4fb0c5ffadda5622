import type { Client } from '@temporalio/client';
import pLimit from 'p-limit';
import { admitDeliveries, type FirstAttemptsBatch, readmitLater, takeStrays } from '../database/admission.ts';
import { deliveriesToContinue, loadBatch, markContinued } from '../database/first-attempts.ts';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { PROBE_LEASE_MS } from '../domain/circuit-breaker.ts';
import { BATCH_SIZE } from '../domain/first-attempts.ts';
import type { OpenBatches, Reservation } from '../egress/open-batches.ts';
import type { Logger } from '../logging.ts';
import { continueDelivery, reviveDelivery, startOrWakeDelivery } from '../temporal/deliveries.ts';
import { isBatchUnderWay, startBatchWorkflow } from '../temporal/first-attempts.ts';
import { isTemporalAway } from '../temporal/temporal-away.ts';

export interface StartDependencies {
  db: ForgeflowDatabase;
  temporal: Client;
  logger: Logger;
  /** Subscriptions in lane `auto` go express while more of their deliveries wait than this. */
  expressBacklog: number;
  /** Those of this process. */
  openBatches: OpenBatches;
}

/** Workflows told at once. */
const AT_ONCE = 20;

/** How far ahead of the requests a subscription may be, and batches that are started at once. */
export const EXPRESS = {
  batches: 5,
  batchSize: BATCH_SIZE,
  inFlight: 1_000,
  inFlightOfAll: 10_000,
  gatherMs: 50,
  // With more than these waiting, a newer one waits behind them.
  overtaken: 20,
};

const LIMITS = {
  batch: 60,
  // Enough for one busy subscription to keep several workers at work; few enough for others not to wait behind it.
  inFlight: 50,
  // One that does not answer takes places from others until its circuit breaker trips: few.
  inFlightOnTrial: 4,
  probeLeaseMs: PROBE_LEASE_MS,
};

/**
 * How long after its admission a delivery without an attempt is looked after: it takes a place from its subscription
 * meanwhile. About as long as Temporal itself needs to find out that a worker has died.
 */
const STRAY_AFTER_MS = 15_000;

/** A workflow that is to be told, and the deliveries that depend on that. */
interface Telling {
  deliveryIds: string[];
  tell: () => Promise<void>;
}

/**
 * Tells workflows of the deliveries that wait to go on, by starting or waking them; those of the express lane go out with open
 * batches first, as far as these have places.
 * @param waiting how many there are, as far as is known
 * @returns how many deliveries, how many batches were started for some of them, whether more wait for places that others have, and
 * whether these are places in batches that are under way
 * @throws what Temporal threw; those that could not be told wait again
 */
export async function startDeliveries(
  dependencies: StartDependencies,
  waiting = 0,
): Promise<{ started: number; batches: number; crowded: boolean; isShort: boolean }> {
  const { db, temporal, expressBacklog, openBatches } = dependencies;
  // Not all places without need: events that are just being dispatched want some too.
  const places = openBatches.reserve(Math.max(Math.min(waiting, openBatches.free), Math.ceil(openBatches.free / 2)));
  try {
    const underWay = new Set(places.slots.map(({ batchId }) => batchId));
    const batches = underWay.size > 0 ? 0 : Math.min(EXPRESS.batches, openBatches.room);
    const limits = { ...LIMITS, express: { ...EXPRESS, batches, backlog: expressBacklog } };
    const { admitted, batches: batched, crowded } = await admitDeliveries(db, limits, places.slots);
    const [added, begun] = [
      batched.filter(({ id }) => underWay.has(id)),
      batched.filter(({ id }) => !underWay.has(id)),
    ];
    const handings = added.map((batch) => ({ deliveryIds: idsOf(batch), tell: () => hand(db, places, batch) }));
    await tellAll(dependencies, handings);
    places.release(); // Temporal may be slow
    const tellings = [
      ...begun.map((batch) => ({ deliveryIds: idsOf(batch), tell: () => begin(dependencies, batch) })),
      ...admitted.map((delivery) => ({
        deliveryIds: [delivery.id],
        tell: () => startOrWakeDelivery(temporal, delivery),
      })),
    ];
    await tellAll(dependencies, tellings);
    const started = [...handings, ...tellings].flatMap(({ deliveryIds }) => deliveryIds).length;
    const left = places.slots.reduce((sum, slot) => sum + slot.places, -added.flatMap(idsOf).length);
    const isShort = underWay.size > 0 ? added.length > 0 && left === 0 : batches === 0 && crowded;
    return { started, batches: begun.length, crowded: crowded || isShort, isShort };
  } finally {
    places.release();
  }
}

async function begin(
  { temporal, openBatches }: StartDependencies,
  { id, deliveries }: FirstAttemptsBatch,
): Promise<void> {
  const subscriptions = new Map(
    deliveries.map(({ subscriptionId, subscription }) => [subscriptionId, { id: subscriptionId, name: subscription }]),
  );
  const deliveryIds = idsOf({ deliveries });
  openBatches.expect(id, deliveryIds.length);
  await startBatchWorkflow(temporal, { id, deliveryIds, subscriptions: [...subscriptions.values()] });
}

/** Deliveries go out with a batch of this process. Should that fail, they are strays of it. */
async function hand(db: ForgeflowDatabase, places: Reservation, batch: FirstAttemptsBatch): Promise<void> {
  places.hand(batch.id, await loadBatch(db, batch.id, idsOf(batch)));
}

const idsOf = ({ deliveries }: Pick<FirstAttemptsBatch, 'deliveries'>): string[] => deliveries.map(({ id }) => id);

/**
 * Gives workflows of their own to deliveries whose attempt in a batch did not get through. They are marked once they have one:
 * whoever dies in between leaves them to be started again, which changes nothing.
 * @returns how many
 */
export async function continueDeliveries(dependencies: StartDependencies): Promise<number> {
  const { db, temporal } = dependencies;
  const waiting = await deliveriesToContinue(db, LIMITS.batch);
  const told: string[] = [];
  try {
    const tellings = waiting.map((delivery) => ({
      deliveryIds: [delivery.id],
      tell: async () => {
        await continueDelivery(temporal, delivery);
        told.push(delivery.id);
      },
    }));
    await tellAll(dependencies, tellings);
  } finally {
    if (told.length > 0) await markContinued(db, told);
  }
  return told.length;
}

/** Looks after deliveries whose relay may have died between admitting them and telling their workflow. */
export async function reviveStrays(dependencies: StartDependencies): Promise<void> {
  const { db, temporal } = dependencies;
  for (;;) {
    const strays = await takeStrays(db, STRAY_AFTER_MS, LIMITS.batch);
    if (strays.length === 0) return;
    const batchIds = new Set(strays.map(({ batch }) => batch).filter((batch) => batch !== null));
    await tellAll(dependencies, [
      ...strays
        .filter(({ batch }) => batch === null)
        .map((delivery) => ({ deliveryIds: [delivery.id], tell: () => reviveDelivery(temporal, delivery) })),
      ...[...batchIds].map((batchId) => {
        const deliveryIds = strays.filter(({ batch }) => batch === batchId).map(({ id }) => id);
        const tell = async (): Promise<void> => {
          if (!(await isBatchUnderWay(temporal, batchId))) await readmitLater(db, deliveryIds);
        };
        return { deliveryIds, tell };
      }),
    ]);
  }
}

async function tellAll({ db, logger }: StartDependencies, tellings: Telling[]): Promise<void> {
  const limit = pLimit(AT_ONCE);
  let fault: unknown;
  const untold: string[] = [];
  const tellOne = async ({ deliveryIds, tell }: Telling): Promise<void> => {
    if (fault !== undefined) return void untold.push(...deliveryIds); // each would try for ten seconds, one after the other
    try {
      await tell();
    } catch (error) {
      if (isTemporalAway(error)) {
        fault = error;
        untold.push(...deliveryIds);
      } else {
        // Something about this one; it is tried again with the strays, and does not keep the others.
        logger.error('a delivery could not be started', { deliveryId: deliveryIds[0], problem: String(error) });
      }
    }
  };
  await Promise.all(tellings.map((telling) => limit(() => tellOne(telling))));
  if (untold.length > 0) await readmitLater(db, untold);
  if (fault !== undefined) throw fault as Error;
}
