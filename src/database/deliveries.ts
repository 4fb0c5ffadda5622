import { sql } from 'kysely';
import { DEACTIVATED_DETAIL, type DeliveryState } from '../domain/delivery.ts';
import type { Database } from './connection.ts';

export interface DeliveryToStart {
  id: string;
  topic: string;
  subscription: string;
  url: string;
  /** Attempts already made, of earlier rounds. */
  attemptCount: number;
}

function selectToStart(db: Database) {
  return db
    .selectFrom('deliveries as delivery')
    .innerJoin('events as event', 'event.id', 'delivery.event_id')
    .innerJoin('subscriptions as subscription', 'subscription.id', 'delivery.subscription_id')
    .select([
      'delivery.id',
      'event.topic',
      'subscription.name as subscription',
      'subscription.url',
      'delivery.attempt_count as attemptCount',
    ])
    .where('delivery.state', '=', 'pending');
}

/** The event's deliveries whose workflows are not known to run. */
export async function deliveriesToStart(db: Database, eventId: string): Promise<DeliveryToStart[]> {
  return selectToStart(db).where('delivery.event_id', '=', eventId).where('delivery.started_at', 'is', null).execute();
}

/** One pending delivery, as its workflow is started with. */
export async function pendingDelivery(db: Database, id: string): Promise<DeliveryToStart | undefined> {
  return selectToStart(db).where('delivery.id', '=', id).executeTakeFirst();
}

export async function markStarted(db: Database, ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('deliveries')
    .set({ started_at: sql`now()` })
    .where('id', 'in', ids)
    .execute();
}

export async function findDeliveryState(db: Database, id: string): Promise<DeliveryState | undefined> {
  const row = await db.selectFrom('deliveries').select('state').where('id', '=', id).executeTakeFirst();
  return row?.state;
}

/**
 * Ends a pending delivery without an attempt.
 * @returns false when it was not pending, or is not there
 */
export async function endDelivery(
  db: Database,
  id: string,
  state: 'failed' | 'cancelled',
  failureDetail: string,
): Promise<boolean> {
  const ended = await db
    .updateTable('deliveries')
    .set({ state, failure_detail: failureDetail, next_attempt_at: null })
    .where('id', '=', id)
    .where('state', '=', 'pending')
    .returning('id')
    .executeTakeFirst();
  return ended !== undefined;
}

/** Ends all pending deliveries of a paused subscription. @returns how many there were */
export async function endDeliveriesOf(db: Database, subscriptionId: string): Promise<number> {
  const result = await db
    .updateTable('deliveries')
    .set({ state: 'failed', failure_detail: DEACTIVATED_DETAIL, next_attempt_at: null })
    .where('subscription_id', '=', subscriptionId)
    .where('state', '=', 'pending')
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/**
 * Queues a finished delivery again, keeping its id and log.
 * @param resetWindow true: the 24 h of retries start anew with its next attempt
 * @returns false when it is still pending, or is not there
 */
export async function reopenDelivery(db: Database, id: string, resetWindow: boolean): Promise<boolean> {
  const reopened = await db
    .updateTable('deliveries')
    .set({
      state: 'pending',
      failure_detail: null,
      started_at: null,
      ...(resetWindow ? { window_started_at: null } : {}),
    })
    .where('id', '=', id)
    .where('state', '!=', 'pending')
    .returning('id')
    .executeTakeFirst();
  return reopened !== undefined;
}

/** Deliveries of a subscription that failed, or were cancelled, and were created since then; the oldest first. */
export async function unsuccessfulSince(db: Database, subscriptionId: string, since: Date): Promise<string[]> {
  const rows = await db
    .selectFrom('deliveries')
    .select('id')
    .where('subscription_id', '=', subscriptionId)
    .where('state', 'in', ['failed', 'cancelled'])
    .where('date_created', '>=', since)
    .orderBy('date_created')
    .execute();
  return rows.map(({ id }) => id);
}

export interface DeliveryCount {
  state: DeliveryState;
  count: number;
}

export async function countDeliveries(db: Database): Promise<DeliveryCount[]> {
  return db
    .selectFrom('deliveries')
    .select(['state', sql<number>`count(*)::int`.as('count')])
    .groupBy('state')
    .execute();
}
