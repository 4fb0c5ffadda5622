import { validate as isUuid } from 'uuid';
import { type AttemptRow, listAttempts } from '../database/attempts.ts';
import {
  endDelivery,
  findDeliveryState,
  announceDeliveries,
  markStarted,
  pendingDelivery,
  reopenDeliveriesSince,
  reopenDelivery,
} from '../database/deliveries.ts';
import { type DeliveryEntry, findDelivery, listDeliveries } from '../database/delivery-log.ts';
import { nominateProbe } from '../database/circuit-breaker.ts';
import { findSubscription } from '../database/subscriptions.ts';
import { CANCELLED_DETAIL, type DeliveryState } from '../domain/delivery.ts';
import { invalid, Refusal } from '../domain/refusal.ts';
import { reach } from '../temporal/connection.ts';
import type { ClientContext } from './context.ts';

/** One event on its way to one subscription. Times are ISO 8601, absent is null. */
export interface Delivery {
  id: string;
  /** The subscription's name. */
  subscription: string;
  eventId: string;
  topic: string;
  state: DeliveryState;
  pending: boolean;
  /** Null until there is a result. */
  successful: boolean | null;
  /** `Connection error: …`, `Bad HTTP response: N`, or why it ended without a request. */
  failureDetail: string | null;
  attemptCount: number;
  dateCreated: string;
  dateFirstSent: string | null;
  dateSent: string | null;
  nextAttemptAt: string | null;
}

/** One HTTP request of a delivery, and what was kept of the answer. */
export interface Attempt {
  number: number;
  sentAt: string;
  durationMs: number;
  statusCode: number | null;
  connectionError: string | null;
  responseHeaders: Record<string, string | string[]> | null;
  /** The first 64 KiB, as UTF-8. */
  responseBody: string | null;
  /** Whether the body was longer, or never ended. */
  truncated: boolean;
}

export interface DeliveryWithAttempts extends Delivery {
  /** The event's JSON value. */
  payload: unknown;
  attempts: Attempt[];
}

export interface DeliveryFilterInput {
  subscription?: string | undefined;
  state?: DeliveryState | undefined;
  topic?: string | undefined;
  /** 50 when left out; 1000 at most. */
  limit?: number | undefined;
}

/** Deliveries, by id. Every method but `list` throws a Refusal of kind `not_found` for an id that is not there. */
export class Deliveries {
  readonly #context: ClientContext;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /** Newest first. */
  async list({ limit = 50, ...filter }: DeliveryFilterInput = {}): Promise<Delivery[]> {
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
      throw invalid('limit', 'it is a whole number from 1 to 1000');
    return (await listDeliveries(this.#context.db, { ...filter, limit })).map(present);
  }

  async show(id: string): Promise<DeliveryWithAttempts> {
    const { db } = this.#context;
    const entry = isUuid(id) ? await findDelivery(db, id) : undefined;
    if (entry === undefined) throw missing(id);
    const attempts = await listAttempts(db, id);
    return { ...present(entry), payload: JSON.parse(entry.payload), attempts: attempts.map(presentAttempt) };
  }

  /** Makes a pending delivery try now. @throws Refusal `conflict` when it is over */
  async retry(id: string): Promise<Delivery> {
    const state = await this.#state(id);
    if (state !== 'pending')
      throw new Refusal('conflict', `delivery ${id} is ${state}, not pending; "redeliver" queues it again`);
    const { db, temporal } = this.#context;
    const { wakeOrStartDelivery } = await import('../temporal/deliveries.ts');
    await reach(temporal);
    if (!(await markStarted(db, id))) return this.show(id); // it goes out with a batch just now
    await nominateProbe(db, id); // an open circuit breaker does not hold up who knows better
    const delivery = await pendingDelivery(db, id);
    if (delivery !== undefined) await wakeOrStartDelivery(temporal, delivery);
    return this.show(id);
  }

  /**
   * Queues a finished delivery again, under its id and with its log.
   * @param reset the 24 h of retries start anew; without it, a delivery past its window makes one attempt and ends
   * @throws Refusal `conflict` when it is pending
   */
  async redeliver(id: string, { reset = true }: { reset?: boolean } = {}): Promise<Delivery> {
    const { db } = this.#context;
    await this.#state(id);
    if (!(await reopenDelivery(db, id, reset))) {
      throw new Refusal('conflict', `delivery ${id} is pending; "retry" makes it try now`);
    }
    await nominateProbe(db, id);
    await announceDeliveries(db);
    return this.show(id);
  }

  /**
   * Queues again what failed, or was cancelled, of a subscription and was created since then: all of it at once, to go
   * out as fast as its receiver takes it.
   */
  async redeliverSince(
    subscription: string,
    since: Date,
    { reset = true }: { reset?: boolean } = {},
  ): Promise<{ redelivered: number }> {
    const { db } = this.#context;
    const row = await findSubscription(db, subscription);
    if (row === undefined) throw new Refusal('not_found', `there is no subscription "${subscription}"`);
    const redelivered = await reopenDeliveriesSince(db, row.id, since, reset);
    await announceDeliveries(db);
    return { redelivered };
  }

  /** @throws Refusal `conflict` when it is over */
  async cancel(id: string): Promise<Delivery> {
    const { db } = this.#context;
    const state = await this.#state(id);
    if (!(await endDelivery(db, id, 'cancelled', CANCELLED_DETAIL))) {
      throw new Refusal('conflict', `delivery ${id} is ${state}; only a pending one can be cancelled`);
    }
    const { wakeDelivery } = await import('../temporal/deliveries.ts');
    await wakeDelivery(this.#context.temporal, id);
    return this.show(id);
  }

  async #state(id: string): Promise<DeliveryState> {
    const state = isUuid(id) ? await findDeliveryState(this.#context.db, id) : undefined;
    if (state === undefined) throw missing(id);
    return state;
  }
}

function missing(id: string): Refusal {
  return new Refusal('not_found', `there is no delivery ${id}`);
}

function present(entry: DeliveryEntry): Delivery {
  const { state } = entry;
  return {
    id: entry.id,
    subscription: entry.subscription,
    eventId: entry.eventId,
    topic: entry.topic,
    state,
    pending: state === 'pending',
    successful: state === 'pending' ? null : state === 'delivered',
    failureDetail: entry.failureDetail,
    attemptCount: entry.attemptCount,
    dateCreated: entry.dateCreated.toISOString(),
    dateFirstSent: entry.dateFirstSent?.toISOString() ?? null,
    dateSent: entry.dateSent?.toISOString() ?? null,
    nextAttemptAt: entry.nextAttemptAt?.toISOString() ?? null,
  };
}

function presentAttempt(row: AttemptRow): Attempt {
  return {
    number: row.number,
    sentAt: row.sent_at.toISOString(),
    durationMs: row.duration_ms,
    statusCode: row.status_code,
    connectionError: row.connection_error,
    responseHeaders: row.response_headers,
    responseBody: row.response_body?.toString('utf8') ?? null,
    truncated: row.truncated,
  };
}
