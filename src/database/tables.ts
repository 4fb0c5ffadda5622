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
}

export interface EventTable {
  id: string;
  topic: string;
  /** JSON as it was published, to the byte; text, not jsonb, since it is signed and sent as it came. */
  payload: string;
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
  /** When its workflow was known to be started; null while that is still to be done. */
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
