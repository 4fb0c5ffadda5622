import { type Selectable, sql } from 'kysely';
import type { DeliveryState, Verdict } from '../domain/delivery.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { SubscriptionState } from '../domain/subscription.ts';
import type { Database } from './connection.ts';
import { preparedAs } from './prepared.ts';
import type { AttemptTable } from './tables.ts';

export type AttemptRow = Selectable<AttemptTable>;

/** Everything an attempt needs to know about its delivery, read in one statement. */
export interface AttemptCase {
  state: DeliveryState;
  failureDetail: string | null;
  nextAttemptAt: Date | null;
  windowStartedAt: Date | null;
  eventId: string;
  topic: string;
  payload: string;
  subscriptionId: string;
  subscriptionState: SubscriptionState;
  trippedAt: Date | null;
  url: string;
  headersSealed: Buffer;
  secretSealed: Buffer;
  previousSecretSealed: Buffer | null;
  previousSecretExpiresAt: Date | null;
  /** When this attempt was sent, if an earlier try of ours got as far as writing it down. */
  alreadySentAt: Date | null;
}

export async function loadAttemptCase(
  db: Database,
  deliveryId: string,
  number: number,
): Promise<AttemptCase | undefined> {
  return db
    .selectFrom('deliveries as delivery')
    .modifyFront(preparedAs('load-attempt-case'))
    .innerJoin('events as event', 'event.id', 'delivery.event_id')
    .innerJoin('subscriptions as subscription', 'subscription.id', 'delivery.subscription_id')
    .leftJoin('attempts as attempt', (join) =>
      join.onRef('attempt.delivery_id', '=', 'delivery.id').on('attempt.number', '=', number),
    )
    .select([
      'delivery.state',
      'delivery.failure_detail as failureDetail',
      'delivery.next_attempt_at as nextAttemptAt',
      'delivery.window_started_at as windowStartedAt',
      'event.id as eventId',
      'event.topic',
      'event.payload',
      'subscription.id as subscriptionId',
      'subscription.state as subscriptionState',
      'subscription.tripped_at as trippedAt',
      'subscription.url',
      'subscription.headers_sealed as headersSealed',
      'subscription.secret_sealed as secretSealed',
      'subscription.previous_secret_sealed as previousSecretSealed',
      'subscription.previous_secret_expires_at as previousSecretExpiresAt',
      'attempt.sent_at as alreadySentAt',
    ])
    .where('delivery.id', '=', deliveryId)
    .executeTakeFirst();
}

export interface AttemptRecord {
  deliveryId: string;
  number: number;
  sentAt: Date;
  outcome: Outcome;
  verdict: Verdict;
}

export interface StandingDelivery {
  state: DeliveryState;
  failureDetail: string | null;
  nextAttemptAt: Date | null;
}

/**
 * Writes an attempt down and what it made of its delivery, in one statement. A delivery that was ended meanwhile
 * (cancelled, deactivated) stays so, unless the attempt got through: that is a fact.
 * @returns where the delivery stands now; undefined when it is gone with its subscription
 */
export async function recordAttempt(db: Database, record: AttemptRecord): Promise<StandingDelivery | undefined> {
  const { deliveryId, number, sentAt, outcome, verdict } = record;
  const response = outcome.kind === 'response' ? outcome : null;
  const headers = response === null ? null : JSON.stringify(response.headers);
  const nextAttemptAt = verdict.nextAttemptAt === null ? null : new Date(verdict.nextAttemptAt);
  const { rows } = await sql<StandingDelivery>`
    ${preparedAs('record-attempt')}
    with delivery as (
      select id, state = 'pending' or ${verdict.state} = 'delivered' as decides
      from deliveries where id = ${deliveryId} for update
    ), logged as (
      insert into attempts
        (delivery_id, number, sent_at, duration_ms, status_code, connection_error, response_headers, response_body, truncated)
      select id, ${number}::int, ${sentAt}::timestamptz, ${outcome.durationMs}::int, ${response?.statusCode ?? null}::int,
        ${outcome.kind === 'connection_error' ? outcome.reason : null}, ${headers}::jsonb, ${response?.body ?? null}::bytea,
        ${response?.truncated ?? false}
      from delivery
      on conflict do nothing
    )
    update deliveries set
      attempt_count = greatest(attempt_count, ${number}),
      date_first_sent = coalesce(date_first_sent, ${sentAt}),
      date_sent = ${sentAt},
      window_started_at = coalesce(window_started_at, ${sentAt}),
      state = case when decides then ${verdict.state} else deliveries.state end,
      failure_detail = case when decides then ${verdict.failureDetail} else failure_detail end,
      next_attempt_at = case when decides then ${nextAttemptAt}::timestamptz else next_attempt_at end,
      carrier = case when decides and ${verdict.state} = 'pending' then carrier end
    from delivery
    where deliveries.id = delivery.id
    returning deliveries.state, failure_detail as "failureDetail", next_attempt_at as "nextAttemptAt"
  `.execute(db);
  return rows[0];
}

export async function listAttempts(db: Database, deliveryId: string): Promise<AttemptRow[]> {
  return db.selectFrom('attempts').selectAll().where('delivery_id', '=', deliveryId).orderBy('number').execute();
}
