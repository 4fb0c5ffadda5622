import { v7 as uuidv7 } from 'uuid';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { dispatchEvents, takeUndispatchedEvents } from '../database/events.ts';
import type { SubscriptionsCache } from './subscriptions-cache.ts';

const BATCH = 200;

/**
 * Takes a batch of events and writes their deliveries: all of it is committed, or none.
 * @returns how many events there were
 */
export async function dispatchBatch(db: ForgeflowDatabase, subscriptions: SubscriptionsCache): Promise<number> {
  return db.transaction().execute(async (transaction) => {
    const events = await takeUndispatchedEvents(transaction, BATCH);
    if (events.length === 0) return 0;
    const matcher = await subscriptions.current(transaction);
    const planned = events.flatMap(({ id: eventId, topic }) =>
      [...matcher.match(topic)].map(({ id: subscriptionId }) => ({ id: uuidv7(), eventId, subscriptionId })),
    );
    await dispatchEvents(
      transaction,
      events.map(({ id }) => id),
      planned,
    );
    return events.length;
  });
}
