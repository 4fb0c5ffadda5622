import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { DeliveryState } from '../domain/delivery.ts';
import type { SubscriptionState } from '../domain/subscription.ts';

/** Set by the database when left out; a `Date` when read. */
type Created = ColumnType<Date, Date | undefined, never>;

export interface Tables {
  events: EventTable;
  subscriptions: SubscriptionTable;
  deliveries: DeliveryTable;
  attempts: AttemptTable;
  subscription_changes: SubscriptionChangesTable;
  gitlab_hooks: GitlabHookTable;
}

/** The outbox too: an event is published by being stored, and dispatched once its deliveries are. */
export interface EventTable {
  id: Generated<string>;
  topic: string;
  /** JSON as it was published, to the byte; text, not jsonb, since it is signed and sent as it came. */
  payload: string;
  /** What makes two publications the same event, besides the id; GitLab's idempotency key, for one. */
  dedupe_key: string | null;
  /** When its deliveries were written; null while that is still to be done. */
  dispatched_at: Date | null;
  created_at: Created;
}

export interface SubscriptionTable {
  id: string;
  name: string;
  url: string;
  patterns: string[];
  /** Sealed JSON object of the headers it adds; they often hold credentials. */
  headers_sealed: Buffer;
  secret_sealed: Buffer;
  /** The secret before the last rotation, which goes on signing until it expires. */
  previous_secret_sealed: Buffer | null;
  previous_secret_expires_at: Date | null;
  state: Generated<SubscriptionState>;
  consecutive_failures: Generated<number>;
  last_success_at: Date | null;
  last_failure_at: Date | null;
  last_error: string | null;
  tripped_at: Date | null;
  /** While tripped: when one delivery may go out to see whether the receiver is back. */
  next_probe_at: Date | null;
  /** The delivery that goes out for that, while it does. */
  probe_delivery_id: string | null;
  created_at: Created;
}

/** One row, whose version grows with every change of a subscription that matters to others than its books. */
export interface SubscriptionChangesTable {
  version: ColumnType<string, never, never>;
}

/** Webhooks in GitLab that post to our ingress. */
export interface GitlabHookTable {
  id: string;
  /** SHA-256 of the token that its requests carry. */
  token_hash: Buffer;
  created_at: Created;
}

export interface DeliveryTable {
  id: string;
  subscription_id: string;
  event_id: string;
  state: Generated<DeliveryState>;
  failure_detail: string | null;
  attempt_count: Generated<number>;
  date_created: Date;
  /** The very first attempt; a redelivery does not change it. */
  date_first_sent: Date | null;
  date_sent: Date | null;
  next_attempt_at: Date | null;
  /** When the 24 h began that the retries are counted in: the first attempt, or the first since a redelivery. */
  window_started_at: Date | null;
  /** When its workflow was told to go on, by being started or woken; null while a relay is still to do that. */
  started_at: Date | null;
}

export interface AttemptTable {
  delivery_id: string;
  number: number;
  sent_at: Date;
  duration_ms: number;
  status_code: number | null;
  connection_error: string | null;
  response_headers: JSONColumnType<Record<string, string | string[]> | null>;
  response_body: Buffer | null;
  truncated: boolean;
}
