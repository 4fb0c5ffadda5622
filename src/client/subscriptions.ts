import { v7 as uuidv7 } from 'uuid';
import type { TestSendResult } from '../../activities/test-sends.ts';
import { nominateProbe } from '../database/circuit-breaker.ts';
import { isUniqueViolation } from '../database/connection.ts';
import { announceDeliveries, endDeliveriesOf } from '../database/deliveries.ts';
import { insertEventFor } from '../database/events.ts';
import {
  CLOSED_BREAKER,
  deleteSubscription,
  findSubscription,
  insertSubscription,
  listSubscriptions,
  type SubscriptionRow,
  updateSubscription,
} from '../database/subscriptions.ts';
import { checkLane, type Lane } from '../domain/lane.ts';
import { invalid, Refusal } from '../domain/refusal.ts';
import {
  checkHeader,
  checkSecret,
  checkSubscriptionName,
  SECRET_ROTATION_MS,
  type SubscriptionState,
} from '../domain/subscription.ts';
import { checkPattern } from '../domain/topic-pattern.ts';
import { checkTargetUrl } from '../egress/address-guard.ts';
import { generateSecret } from '../egress/sign.ts';
import type { ClientContext } from './context.ts';

/** Times are ISO 8601, absent is null. */
export interface Subscription {
  id: string;
  name: string;
  url: string;
  patterns: string[];
  /** How its first attempts go out. */
  lane: Lane;
  /** `tripped`: the circuit breaker holds its deliveries back. */
  state: SubscriptionState;
  consecutiveFailures: number;
  lastSuccessAt: string | null;
  lastFailureAt: string | null;
  lastError: string | null;
  trippedAt: string | null;
}

/** A subscription just made, or with a new secret: the only moment in which the secret can be seen. */
export interface SubscriptionWithSecret {
  id: string;
  name: string;
  url: string;
  patterns: string[];
  lane: Lane;
  state: SubscriptionState;
  secret: string;
}

export interface NewSubscriptionInput {
  /** 1–64 characters, unique. It is the subscription's identity and cannot be changed. */
  name: string;
  url: string;
  /** One at least: see the spec of topic patterns (`*` one token, final `>` one or more). */
  patterns: string[];
  /** `whsec_` and base64 of 24–64 bytes; made up when left out. */
  secret?: string | undefined;
  /** Headers that its requests carry besides ours. */
  headers?: Record<string, string> | undefined;
  /** `workflow` when left out. */
  lane?: Lane | undefined;
}

export interface SubscriptionChange {
  url?: string | undefined;
  patterns?: string[] | undefined;
  headers?: Record<string, string> | undefined;
  lane?: Lane | undefined;
}

/** Subscriptions, by name. Every method but `list` throws a Refusal of kind `not_found` for a name that is not there. */
export class Subscriptions {
  readonly #context: ClientContext;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /** @throws Refusal for bad input or a name that is taken */
  async add(input: NewSubscriptionInput): Promise<SubscriptionWithSecret> {
    const { db, sealer, guard } = this.#context;
    const name = checkSubscriptionName(input.name);
    const url = checkTargetUrl(input.url, guard);
    const patterns = checkPatterns(input.patterns);
    const secret = input.secret === undefined ? generateSecret() : checkSecret(input.secret);
    const headers = checkHeaders(input.headers ?? {});
    const lane = checkLane(input.lane ?? 'workflow');
    try {
      const row = await insertSubscription(db, {
        id: uuidv7(),
        name,
        url,
        patterns,
        headersSealed: sealer.seal(JSON.stringify(headers)),
        secretSealed: sealer.seal(secret),
        lane,
      });
      return withSecret(row, secret);
    } catch (error) {
      if (isUniqueViolation(error))
        throw new Refusal('conflict', `name: there is already a subscription "${name}"`, 'name');
      throw error;
    }
  }

  async list(): Promise<Subscription[]> {
    return (await listSubscriptions(this.#context.db)).map(present);
  }

  async show(name: string): Promise<Subscription> {
    return present(await this.#find(name));
  }

  /**
   * Deliveries on their way go to the new URL from their next attempt on; those that wait for their first take the new lane.
   * @throws Refusal for bad input, an empty change included
   */
  async update(name: string, change: SubscriptionChange): Promise<Subscription> {
    const { guard, sealer } = this.#context;
    await this.#find(name);
    const { url, patterns, headers, lane } = change;
    if ([url, patterns, headers, lane].every((part) => part === undefined))
      throw new Refusal('invalid', 'nothing to change: give a url, patterns, headers or a lane');
    return this.#change(name, {
      ...(url === undefined ? {} : { url: checkTargetUrl(url, guard) }),
      ...(patterns === undefined ? {} : { patterns: checkPatterns(patterns) }),
      ...(headers === undefined ? {} : { headers_sealed: sealer.seal(JSON.stringify(checkHeaders(headers))) }),
      ...(lane === undefined ? {} : { lane: checkLane(lane) }),
    });
  }

  /** Sends nothing any more: new events pass it by, and its pending deliveries end as `Webhook deactivated`. */
  async pause(name: string): Promise<Subscription> {
    const { db } = this.#context;
    const { subscription, ended } = await db.transaction().execute(async (transaction) => {
      const row = found(name, await updateSubscription(transaction, name, { state: 'paused', ...CLOSED_BREAKER }));
      return { subscription: row, ended: await endDeliveriesOf(transaction, row.id) };
    });
    if (ended > 0) await this.#wakeDeliveries(name);
    return present(subscription);
  }

  async enable(name: string): Promise<Subscription> {
    return this.#change(name, {
      state: 'active',
      consecutive_failures: 0,
      last_error: null,
      ...CLOSED_BREAKER,
    });
  }

  /** Takes its deliveries and their log along. */
  async delete(name: string): Promise<void> {
    const { db } = this.#context;
    if (!(await deleteSubscription(db, name))) throw missing(name);
    await this.#wakeDeliveries(name);
  }

  /** The old secret goes on signing beside the new one for 24 h. */
  async rotateSecret(name: string, secret: string = generateSecret()): Promise<SubscriptionWithSecret> {
    const { db, sealer } = this.#context;
    const checked = checkSecret(secret);
    const row = await db.transaction().execute(async (transaction) => {
      const before = found(name, await findSubscription(transaction, name));
      return updateSubscription(transaction, name, {
        secret_sealed: sealer.seal(checked),
        previous_secret_sealed: before.secret_sealed,
        previous_secret_expires_at: new Date(Date.now() + SECRET_ROTATION_MS),
      });
    });
    return withSecret(found(name, row), checked);
  }

  /** One request of topic `test.ping`, sent now by a worker, also when paused; nothing is kept of it. */
  async test(name: string): Promise<TestSendResult> {
    const subscription = await this.#find(name);
    const { runTestSend } = await import('../temporal/deliveries.ts');
    return runTestSend(this.#context.temporal, subscription);
  }

  /** A delivery of topic `ping`, whatever the subscription's patterns. @throws Refusal `conflict` when it is paused */
  async ping(name: string): Promise<{ eventId: string; deliveryId: string }> {
    const subscription = await this.#find(name);
    if (subscription.state === 'paused') throw paused(name);
    const { db } = this.#context;
    const event = { id: uuidv7(), topic: 'ping', payload: '{"ping": true}' };
    const delivery = { id: uuidv7(), subscriptionId: subscription.id };
    if (!(await insertEventFor(db, event, delivery))) throw paused(name); // just now
    await nominateProbe(db, delivery.id); // it is to show whether the receiver is back
    await announceDeliveries(db);
    return { eventId: event.id, deliveryId: delivery.id };
  }

  async #wakeDeliveries(name: string): Promise<void> {
    const { wakeDeliveriesOf } = await import('../temporal/deliveries.ts');
    await wakeDeliveriesOf(this.#context.temporal, name);
  }

  async #find(name: string): Promise<SubscriptionRow> {
    return found(name, await findSubscription(this.#context.db, name));
  }

  async #change(name: string, change: Parameters<typeof updateSubscription>[2]): Promise<Subscription> {
    return present(found(name, await updateSubscription(this.#context.db, name, change)));
  }
}

function found(name: string, row: SubscriptionRow | undefined): SubscriptionRow {
  if (row === undefined) throw missing(name);
  return row;
}

function missing(name: string): Refusal {
  return new Refusal('not_found', `there is no subscription "${name}"`);
}

function paused(name: string): Refusal {
  return new Refusal('conflict', `subscription "${name}" is paused; enable it first, or try "subscriptions test"`);
}

function checkPatterns(patterns: string[]): string[] {
  if (patterns.length === 0) throw invalid('pattern', 'at least one is needed');
  return [...new Set(patterns.map(checkPattern))];
}

function checkHeaders(headers: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(headers)) checkHeader(name, value);
  return headers;
}

function present(row: SubscriptionRow): Subscription {
  return {
    id: row.id,
    name: row.name,
    url: row.url,
    patterns: row.patterns,
    lane: row.lane,
    state: row.state,
    consecutiveFailures: row.consecutive_failures,
    lastSuccessAt: row.last_success_at?.toISOString() ?? null,
    lastFailureAt: row.last_failure_at?.toISOString() ?? null,
    lastError: row.last_error,
    trippedAt: row.tripped_at?.toISOString() ?? null,
  };
}

function withSecret(row: SubscriptionRow, secret: string): SubscriptionWithSecret {
  const { id, name, url, patterns, lane, state } = row;
  return { id, name, url, patterns, lane, state, secret };
}
