import type { Client } from '@temporalio/client';
import pLimit from 'p-limit';
import { admitDeliveries, type DeliveryToStart, readmitLater, takeStrays } from '../database/admission.ts';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { PROBE_LEASE_MS } from '../domain/circuit-breaker.ts';
import type { Logger } from '../logging.ts';
import { reviveDelivery, startOrWakeDelivery } from '../temporal/deliveries.ts';
import { isTemporalAway } from '../temporal/temporal-away.ts';

export interface StartDependencies {
  db: ForgeflowDatabase;
  temporal: Client;
  logger: Logger;
}

/** Workflows told at once. */
const AT_ONCE = 20;

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

/**
 * Tells the workflows of deliveries that wait to go on, by starting or waking them.
 * @returns how many, and whether more wait for places that others have
 * @throws what Temporal threw; those that could not be told wait again
 */
export async function startBatch(dependencies: StartDependencies): Promise<{ started: number; crowded: boolean }> {
  const { db, temporal } = dependencies;
  const { admitted, crowded } = await admitDeliveries(db, LIMITS);
  await tellAll(dependencies, admitted, (delivery) => startOrWakeDelivery(temporal, delivery));
  return { started: admitted.length, crowded };
}

/** Looks after deliveries whose relay may have died between admitting them and telling their workflow. */
export async function reviveStrays(dependencies: StartDependencies): Promise<void> {
  const { db, temporal } = dependencies;
  for (;;) {
    const strays = await takeStrays(db, STRAY_AFTER_MS, LIMITS.batch);
    if (strays.length === 0) return;
    await tellAll(dependencies, strays, (delivery) => reviveDelivery(temporal, delivery));
  }
}

async function tellAll(
  { db, logger }: StartDependencies,
  deliveries: DeliveryToStart[],
  tell: (delivery: DeliveryToStart) => Promise<void>,
): Promise<void> {
  const limit = pLimit(AT_ONCE);
  let fault: unknown;
  const untold: string[] = [];
  const tellOne = async (delivery: DeliveryToStart): Promise<void> => {
    if (fault !== undefined) return void untold.push(delivery.id); // each would try for ten seconds, one after the other
    try {
      await tell(delivery);
    } catch (error) {
      if (isTemporalAway(error)) {
        fault = error;
        untold.push(delivery.id);
      } else {
        // Something about this one; it is tried again with the strays, and does not keep the others.
        logger.error('a delivery could not be started', { deliveryId: delivery.id, problem: String(error) });
      }
    }
  };
  await Promise.all(deliveries.map((delivery) => limit(() => tellOne(delivery))));
  if (untold.length === 0) return;
  await readmitLater(db, untold);
  throw fault;
}
