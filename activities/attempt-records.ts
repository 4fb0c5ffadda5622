import pRetry from 'p-retry';
import { type AttemptRecord, recordAttempt, type StandingDelivery } from '../src/database/attempts.ts';
import { type ForgeflowDatabase, isConnectionFault, isDeadlock } from '../src/database/connection.ts';
import { endDeliveriesOf } from '../src/database/deliveries.ts';
import { disableSubscription } from '../src/database/subscriptions.ts';

/** How long a finished attempt waits for a database that is away, before the attempt counts as not made. */
const PATIENCE_MS = 60_000;

/**
 * Writes an attempt down. A database that restarts just now would cost the receiver a second copy of the request, so it
 * is waited for, briefly.
 * @param signal ends the waiting: nobody waits for this attempt any more
 * @returns where the delivery stands now; undefined when it is gone with its subscription
 */
export async function recordPatiently(
  db: ForgeflowDatabase,
  attempt: AttemptRecord,
  subscriptionId: string,
  signal: AbortSignal,
): Promise<StandingDelivery | undefined> {
  const write = attempt.verdict.disablesSubscription ? recordAndDisable : recordAttempt;
  return patiently(() => write(db, attempt, subscriptionId), signal);
}

/** Waits for a database that restarts, and writes again where two writers blocked each other. @throws what else kept it */
export async function patiently<T>(write: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return pRetry(write, {
    shouldRetry: ({ error }) => isConnectionFault(error) || isDeadlock(error),
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 100,
    maxTimeout: 2_000,
    maxRetryTime: PATIENCE_MS,
    signal,
  });
}

/** The receiver is gone for good: all that is on its way to it ends, together with this attempt or not at all. */
async function recordAndDisable(
  db: ForgeflowDatabase,
  attempt: AttemptRecord,
  subscriptionId: string,
): Promise<StandingDelivery | undefined> {
  return db.transaction().execute(async (transaction) => {
    // The subscription first, as whoever pauses or deletes it has it: in the other order the two could block each other.
    await disableSubscription(transaction, subscriptionId);
    const recorded = await recordAttempt(transaction, attempt);
    await endDeliveriesOf(transaction, subscriptionId);
    return recorded;
  });
}
