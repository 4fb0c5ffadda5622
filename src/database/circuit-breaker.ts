import { sql } from 'kysely';
import { PROBE_LEASE_MS } from '../domain/circuit-breaker.ts';
import { LAST_ERROR_LIMIT } from '../domain/subscription.ts';
import type { Database } from './connection.ts';
import { preparedAs } from './prepared.ts';

/** In a burst of successes every delivery would lock and write the same row; one a second says as much. */
const SUCCESS_EVERY_MS = 1_000;

export interface RecordedSuccess {
  subscriptionId: string;
  at: Date;
}

/**
 * Keeps the books of subscriptions after attempts that succeeded. It closes their circuit breakers, where they were open.
 * @param successes one a subscription
 */
export async function recordSuccesses(db: Database, successes: RecordedSuccess[]): Promise<void> {
  await sql`
    ${preparedAs('record-successes')}
    update subscriptions set
      last_success_at = greatest(last_success_at, success.at),
      last_error = null,
      consecutive_failures = 0,
      state = case when state = 'tripped' then 'active' else state end,
      tripped_at = null,
      next_probe_at = null,
      probe_delivery_id = null
    from (
      select subscription.id, success.at
      from subscriptions subscription join unnest(
        ${successes.map(({ subscriptionId }) => subscriptionId)}::uuid[],
        ${successes.map(({ at }) => at)}::timestamptz[]
      ) as success (id, at) on success.id = subscription.id
      where consecutive_failures > 0 or last_error is not null or state = 'tripped' or last_success_at is null
        or last_success_at <= success.at - ${SUCCESS_EVERY_MS} * interval '1 millisecond'
      order by subscription.id for no key update of subscription
    ) as success
    where subscriptions.id = success.id
  `.execute(db);
}

export interface RecordedFailure {
  subscriptionId: string;
  deliveryId: string;
  /** Failures in a row that are told of together; the rest is of the last of them. 1 when left out. */
  count?: number;
  at: Date;
  error: string;
  /** So many in a row trip the breaker. */
  threshold: number;
  /** When the next probe may go out, should the breaker be tripped by this, or should this have been the probe. */
  nextProbeAt: Date;
}

/** Keeps the books of a subscription after an attempt that failed. */
export async function recordFailure(db: Database, failure: RecordedFailure): Promise<void> {
  const { subscriptionId, deliveryId, count = 1, at, error, threshold, nextProbeAt } = failure;
  const trips = sql<boolean>`(state = 'active' and consecutive_failures + ${count}::int >= ${threshold})`;
  const wasProbe = sql<boolean>`(state = 'tripped' and probe_delivery_id = ${deliveryId})`;
  await db
    .updateTable('subscriptions')
    .set({
      last_failure_at: sql`greatest(last_failure_at, ${at})`,
      last_error: error.slice(0, LAST_ERROR_LIMIT),
      consecutive_failures: sql`consecutive_failures + ${count}::int`,
      state: sql`case when ${trips} then 'tripped' else state end`,
      tripped_at: sql`case when ${trips} then ${at}::timestamptz else tripped_at end`,
      next_probe_at: sql`case when ${trips} or ${wasProbe} then ${nextProbeAt}::timestamptz else next_probe_at end`,
      probe_delivery_id: sql`case when ${wasProbe} then null else probe_delivery_id end`,
    })
    .where('id', '=', subscriptionId)
    .execute();
}

export interface ProbeClaim {
  subscriptionId: string;
  deliveryId: string;
  at: Date;
  leaseMs: number;
}

/** Whether this delivery may go out to a tripped subscription: one at a time may, when a probe is due. */
export async function claimProbe(
  db: Database,
  { subscriptionId, deliveryId, at, leaseMs }: ProbeClaim,
): Promise<boolean> {
  const claimed = await db
    .updateTable('subscriptions')
    .set({ probe_delivery_id: deliveryId, next_probe_at: new Date(at.getTime() + leaseMs) })
    .where('id', '=', subscriptionId)
    .where('state', '=', 'tripped')
    .where((where) =>
      where.or([
        where('probe_delivery_id', '=', deliveryId),
        where('next_probe_at', 'is', null),
        where('next_probe_at', '<=', at),
      ]),
    )
    .returning('id')
    .executeTakeFirst();
  return claimed !== undefined;
}

/**
 * Makes a delivery the probe of its subscription, should that be tripped: somebody wants it to go out. No other one does
 * meanwhile, be it admitted now or woken by whoever asked.
 */
export async function nominateProbe(db: Database, deliveryId: string): Promise<void> {
  await db
    .updateTable('subscriptions')
    .set({ probe_delivery_id: deliveryId, next_probe_at: sql`now() + ${PROBE_LEASE_MS} * interval '1 millisecond'` })
    .where('state', '=', 'tripped')
    .where('id', 'in', (query) => query.selectFrom('deliveries').select('subscription_id').where('id', '=', deliveryId))
    .execute();
}
