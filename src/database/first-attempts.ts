import { sql } from 'kysely';
import type { Verdict } from '../domain/delivery.ts';
import { type BatchedDelivery, SMALL_PAYLOAD } from '../domain/first-attempts.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { SubscriptionState } from '../domain/subscription.ts';
import type { DeliveryToStart } from './admission.ts';
import type { Database } from './connection.ts';
import { selectToStart } from './deliveries.ts';
import { preparedAs } from './prepared.ts';

/** What attempts need to know of a subscription. */
export interface BatchedSubscription {
  id: string;
  name: string;
  state: SubscriptionState;
  trippedAt: Date | null;
  url: string;
  headersSealed: Buffer;
  secretSealed: Buffer;
  previousSecretSealed: Buffer | null;
  previousSecretExpiresAt: Date | null;
}

/** A batch, or some of it. */
export interface LoadedBatch {
  deliveries: BatchedDelivery[];
  /** Of the subscriptions, at the time of reading. */
  version: string;
}

/**
 * Reads what a batch still has to attempt: what was recorded meanwhile, ended, put back, or given to another workflow is left
 * out.
 * @param deliveryIds all that are the batch's when left out
 */
export async function loadBatch(db: Database, batchId: string, deliveryIds?: string[]): Promise<LoadedBatch> {
  const { rows } = await sql<BatchedDelivery & { version: string }>`
    ${preparedAs(deliveryIds === undefined ? 'load-batch' : 'load-some-of-batch')}
    select delivery.id, delivery.attempt_count + 1 as number, delivery.window_started_at as "windowStartedAt",
      event.id as "eventId", event.topic, delivery.subscription_id as "subscriptionId",
      case when octet_length(event.payload) <= ${SMALL_PAYLOAD}::int then event.payload end as payload,
      (select version from subscription_changes) as version
    from deliveries delivery join events event on event.id = delivery.event_id
    where delivery.carrier = ${batchId}
      ${deliveryIds === undefined ? sql`` : sql`and delivery.id = any(${deliveryIds}::uuid[])`}
      and delivery.state = 'pending' and delivery.started_at is not null and delivery.next_attempt_at is null
    order by delivery.date_created, delivery.id
  `.execute(db);
  return { deliveries: rows.map(({ version: _, ...delivery }) => delivery), version: rows[0]?.version ?? '0' };
}

/** @returns those that are there, each with the version of all */
export async function loadBatchedSubscriptions(
  db: Database,
  ids: string[],
): Promise<(BatchedSubscription & { version: string })[]> {
  const { rows } = await sql<BatchedSubscription & { version: string }>`
    select id, name, state, tripped_at as "trippedAt", url, headers_sealed as "headersSealed",
      secret_sealed as "secretSealed", previous_secret_sealed as "previousSecretSealed",
      previous_secret_expires_at as "previousSecretExpiresAt", (select version from subscription_changes) as version
    from subscriptions where id = any(${ids}::uuid[])
  `.execute(db);
  return rows;
}

/** @returns undefined for an event that is gone */
export async function loadPayload(db: Database, eventId: string): Promise<string | undefined> {
  const event = await db.selectFrom('events').select('payload').where('id', '=', eventId).executeTakeFirst();
  return event?.payload;
}

/** An attempt that was made in a batch. */
export interface BatchedAttempt {
  deliveryId: string;
  number: number;
  sentAt: Date;
  outcome: Outcome;
  verdict: Verdict;
}

/**
 * Writes attempts down and what they made of their deliveries, all in one statement; see `recordAttempt`. Those that are to be
 * tried again wait for a relay that gives them workflows of their own.
 */
export async function recordFirstAttempts(db: Database, attempts: BatchedAttempt[]): Promise<void> {
  const rows = attempts.map(({ deliveryId, number, sentAt, outcome, verdict }) => ({
    id: deliveryId,
    number,
    sent_at: sentAt,
    duration_ms: outcome.durationMs,
    ...(outcome.kind === 'response'
      ? {
          status_code: outcome.statusCode,
          headers: outcome.headers,
          body: outcome.body.toString('base64'),
          truncated: outcome.truncated,
        }
      : { connection_error: outcome.reason, truncated: false }),
    state: verdict.state,
    failure_detail: verdict.failureDetail,
    next_attempt_at: verdict.nextAttemptAt === null ? null : new Date(verdict.nextAttemptAt),
  }));
  await sql`
    with made as (
      select * from json_to_recordset(${JSON.stringify(rows)}::json) as made (
        id uuid, number int, sent_at timestamptz, duration_ms int, status_code int, connection_error text, headers jsonb,
        body text, truncated boolean, state text, failure_detail text, next_attempt_at timestamptz
      )
    ), delivery as ( -- in the order in which all lock them who lock many
      select deliveries.id, deliveries.state = 'pending' or made.state = 'delivered' as decides
      from deliveries join made on made.id = deliveries.id
      order by deliveries.id for update of deliveries
    ), logged as (
      insert into attempts
        (delivery_id, number, sent_at, duration_ms, status_code, connection_error, response_headers, response_body, truncated)
      select made.id, made.number, made.sent_at, made.duration_ms, made.status_code, made.connection_error, made.headers,
        decode(made.body, 'base64'), made.truncated
      from made join delivery on delivery.id = made.id
      on conflict do nothing
    )
    update deliveries set
      attempt_count = greatest(attempt_count, made.number),
      date_first_sent = coalesce(date_first_sent, made.sent_at),
      date_sent = made.sent_at,
      window_started_at = coalesce(window_started_at, made.sent_at),
      state = case when decides then made.state else deliveries.state end,
      failure_detail = case when decides then made.failure_detail else deliveries.failure_detail end,
      next_attempt_at = case when decides then made.next_attempt_at else deliveries.next_attempt_at end,
      started_at = case when decides and made.state = 'pending' then null else started_at end,
      carrier = case when decides and made.state = 'pending' then carrier end
    from delivery join made on made.id = delivery.id
    where deliveries.id = delivery.id
  `.execute(db);
}

/** Puts deliveries back that a batch did not come to send: they are admitted again. */
export async function putBack(db: Database, batchId: string, deliveryIds: string[]): Promise<void> {
  await sql`
    update deliveries set started_at = null
    from (
      select id from deliveries where id = any(${deliveryIds}::uuid[]) order by id for update
    ) as locked
    where deliveries.id = locked.id and state = 'pending' and carrier = ${batchId} and next_attempt_at is null
  `.execute(db);
}

/** The same for one that a batch cannot attempt, by a fault of ours: its own workflow tries, again and again, and shows why not. */
export async function leaveToOwnWorkflow(db: Database, batchId: string, deliveryId: string): Promise<void> {
  await db
    .updateTable('deliveries')
    .set({ started_at: null, carrier: deliveryId })
    .where('id', '=', deliveryId)
    .where('state', '=', 'pending')
    .where('carrier', '=', batchId)
    .execute();
}

/** A delivery whose attempt in a batch did not get through, as its own workflow is started with. */
export interface DeliveryToContinue extends DeliveryToStart {
  failureDetail: string | null;
  lastAttemptAt: Date;
  nextAttemptAt: Date;
}

/** Those that have no workflow yet, the most urgent first. */
export async function deliveriesToContinue(db: Database, limit: number): Promise<DeliveryToContinue[]> {
  return selectToStart(db)
    .select([
      'delivery.failure_detail as failureDetail',
      sql<Date>`date_sent`.as('lastAttemptAt'),
      sql<Date>`next_attempt_at`.as('nextAttemptAt'),
    ])
    .where('delivery.started_at', 'is', null)
    .where('delivery.next_attempt_at', 'is not', null)
    .orderBy('delivery.next_attempt_at')
    .limit(limit)
    .execute();
}

/** Notes that they go on in workflows of their own. */
export async function markContinued(db: Database, ids: string[]): Promise<void> {
  await sql`
    update deliveries set started_at = now(), carrier = deliveries.id
    from (
      select id from deliveries where id = any(${ids}::uuid[]) order by id for update
    ) as locked
    where deliveries.id = locked.id and started_at is null and state = 'pending' and next_attempt_at is not null
  `.execute(db);
}
