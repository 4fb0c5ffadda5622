import { sql } from 'kysely';
import { DEACTIVATED_DETAIL, type DeliveryState } from '../domain/delivery.ts';
import type { DeliveryToStart } from './admission.ts';
import type { Database } from './connection.ts';

/** Pending deliveries, as their workflows are started with; which ones is for the caller to say. */
export function selectToStart(db: Database) {
  return db
    .selectFrom('deliveries as delivery')
    .innerJoin('events as event', 'event.id', 'delivery.event_id')
    .innerJoin('subscriptions as subscription', 'subscription.id', 'delivery.subscription_id')
    .select([
      'delivery.id',
      'event.topic',
      'subscription.id as subscriptionId',
      'subscription.name as subscription',
      'subscription.url',
      'delivery.attempt_count as attemptCount',
    ])
    .where('delivery.state', '=', 'pending');
}

export async function pendingDelivery(db: Database, id: string): Promise<DeliveryToStart | undefined> {
  return selectToStart(db).where('delivery.id', '=', id).executeTakeFirst();
}

/** Tells the relays, from the commit on, that deliveries wait for their workflow to be told. */
export async function announceDeliveries(db: Database): Promise<void> {
  await sql`select pg_notify('forgeflow_deliveries', '')`.execute(db);
}

/**
 * Notes that the delivery's own workflow is told to go on, and no relay is to do that.
 * @returns false when it is over, or a batch has it in hand
 */
export async function markStarted(db: Database, id: string): Promise<boolean> {
  const marked = await db
    .updateTable('deliveries')
    .set({ started_at: sql`now()`, carrier: id })
    .where('id', '=', id)
    .where('state', '=', 'pending')
    .where((where) =>
      where.or([where('started_at', 'is', null), where('next_attempt_at', 'is not', null), where('carrier', '=', id)]),
    )
    .returning('id')
    .executeTakeFirst();
  return marked !== undefined;
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
    .where('id', 'in', (query) =>
      query
        .selectFrom('deliveries')
        .select('id')
        .where('subscription_id', '=', subscriptionId)
        .where('state', '=', 'pending')
        .orderBy('id') // as a batch that is just being recorded has them, or the two could block each other
        .forUpdate(),
    )
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

/**
 * Queues a finished delivery again, keeping its id and log; a relay tells its workflow.
 * @param resetWindow true: the 24 h of retries start anew with its next attempt
 * @returns false when it is still pending, or is not there
 */
export async function reopenDelivery(db: Database, id: string, resetWindow: boolean): Promise<boolean> {
  const row = await db
    .updateTable('deliveries')
    .set(reopened(resetWindow))
    .where('id', '=', id)
    .where('state', '!=', 'pending')
    .returning('id')
    .executeTakeFirst();
  return row !== undefined;
}

/** The same for all deliveries of a subscription that failed or were cancelled and were created since then. @returns how many */
export async function reopenDeliveriesSince(
  db: Database,
  subscriptionId: string,
  since: Date,
  resetWindow: boolean,
): Promise<number> {
  const result = await db
    .updateTable('deliveries')
    .set(reopened(resetWindow))
    .where('id', 'in', (query) =>
      query
        .selectFrom('deliveries')
        .select('id')
        .where('subscription_id', '=', subscriptionId)
        .where('state', 'in', ['failed', 'cancelled'])
        .where('date_created', '>=', since)
        .orderBy('id')
        .forUpdate(),
    )
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}

function reopened(resetWindow: boolean) {
  return {
    state: 'pending' as const,
    failure_detail: null,
    next_attempt_at: null,
    // A batch that has it in hand still sends it, or has just done so, and is not told again.
    started_at: sql<Date | null>`case when carrier <> id then started_at end`,
    ...(resetWindow ? { window_started_at: null } : {}),
  };
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

export interface DeliveryBacklog {
  /** Pending deliveries whose workflow is still to be told, those held back by a circuit breaker left out. */
  count: number;
  oldestAt: Date | null;
}

export async function readDeliveryBacklog(db: Database): Promise<DeliveryBacklog> {
  return db
    .selectFrom('deliveries')
    .innerJoin('subscriptions', 'subscriptions.id', 'deliveries.subscription_id')
    .select([sql<number>`count(*)::int`.as('count'), sql<Date | null>`min(date_created)`.as('oldestAt')])
    .where('started_at', 'is', null)
    .where('deliveries.state', '=', 'pending')
    .where('next_attempt_at', 'is', null)
    .where('subscriptions.state', '!=', 'tripped')
    .executeTakeFirstOrThrow();
}
