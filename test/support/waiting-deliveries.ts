import { randomUUID } from 'node:crypto';
import { type ControlledTransaction, type Insertable, sql, type Updateable } from 'kysely';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import type { PlannedDelivery } from '../../src/database/events.ts';
import { insertSubscription, updateSubscription } from '../../src/database/subscriptions.ts';
import type { DeliveryTable, SubscriptionTable, Tables } from '../../src/database/tables.ts';

const MINUTE = 60_000;

/** A subscription that was at work until now, unless it is told otherwise. @returns its id */
export async function insertActiveSubscription(
  db: ForgeflowDatabase,
  books: Updateable<SubscriptionTable> = {},
): Promise<string> {
  const id = randomUUID();
  const name = `s ${id}`;
  const sealed = Buffer.alloc(0);
  const url = 'https://example.com/hook';
  await insertSubscription(db, { id, name, url, patterns: ['>'], headersSealed: sealed, secretSealed: sealed });
  await updateSubscription(db, name, { last_success_at: new Date(), ...books });
  return id;
}

/** One that is to be written when its event is dispatched. */
export function planDelivery(eventId: string, subscriptionId: string): PlannedDelivery {
  return { id: randomUUID(), eventId, subscriptionId };
}

/** Deliveries that wait, unless it is told otherwise, the oldest first, all in one statement. @returns their ids */
export async function insertWaitingDeliveries(
  db: ForgeflowDatabase,
  subscriptionId: string,
  count: number,
  values: Partial<Insertable<DeliveryTable>> = {},
): Promise<string[]> {
  if (count === 0) return [];
  const ids = Array.from({ length: count }, () => randomUUID());
  const events = ids.map(() => ({ id: randomUUID(), topic: 'a.b', payload: '1', dispatched_at: new Date() }));
  const row = (id: string, i: number) => ({
    id,
    subscription_id: subscriptionId,
    event_id: events[i]!.id,
    date_created: new Date(Date.now() - MINUTE + i),
    ...values,
  });
  await db.insertInto('events').values(events).execute();
  await db.insertInto('deliveries').values(ids.map(row)).execute();
  return ids;
}

/** Two transactions at once, which are over afterwards whatever happens. */
export async function inTwoTransactions(
  db: ForgeflowDatabase,
  work: (one: ControlledTransaction<Tables>, other: ControlledTransaction<Tables>) => Promise<void>,
): Promise<void> {
  const both = [await db.startTransaction().execute(), await db.startTransaction().execute()] as const;
  try {
    for (const each of both) await sql`set local lock_timeout = '5s'`.execute(each); // neither is to wait for the other
    await work(...both);
  } finally {
    for (const each of both) if (!each.isCommitted && !each.isRolledBack) await each.rollback().execute();
  }
}
