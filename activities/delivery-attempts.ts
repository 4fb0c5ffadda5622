import { heartbeat } from '@temporalio/activity';
import { holdDelivery } from '../src/database/admission.ts';
import { type AttemptCase, loadAttemptCase, type StandingDelivery } from '../src/database/attempts.ts';
import { claimProbe } from '../src/database/circuit-breaker.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { endDelivery } from '../src/database/deliveries.ts';
import { PROBE_LEASE_MS } from '../src/domain/circuit-breaker.ts';
import { DEACTIVATED_DETAIL, type DeliveryState, judgeAttempt } from '../src/domain/delivery.ts';
import type { Outcome } from '../src/domain/outcome.ts';
import type { EgressGate } from '../src/egress/gate.ts';
import type { Sender } from '../src/egress/send.ts';
import { webhookRequest } from '../src/egress/webhook-request.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import { abandoned } from './abandoned-attempt.ts';
import { recordPatiently } from './attempt-records.ts';
import { webhookDeliveryRetry } from './failures.ts';
import { openHeaders, openSecrets } from './sealed-subscription.ts';
import { keepBooks } from './subscription-books.ts';

export interface DeliveryAttemptsDependencies {
  db: ForgeflowDatabase;
  sender: Sender;
  sealer: Sealer;
  gate: EgressGate;
  /** So many failures in a row trip a subscription's circuit breaker. */
  breakerFailures: number;
  /** Told of every attempt that was made. */
  observe: (outcome: Outcome) => void;
}

export interface AttemptRequest {
  deliveryId: string;
  /** 1 for the delivery's first attempt. */
  number: number;
  /** The workflow's clock, ISO 8601. In tests it runs ahead of the machine's. */
  askedAt: string;
}

/** Where the delivery stands after the attempt. Times are ISO 8601. */
export interface AttemptResult {
  /** `deleted`: the delivery went with its subscription. */
  state: DeliveryState | 'deleted';
  failureDetail: string | null;
  /** Null when nothing was sent. */
  sentAt: string | null;
  /** Null when it is over; and when it is pending and held back, until a relay wakes its workflow. */
  nextAttemptAt: string | null;
}

export type DeliveryAttempts = ReturnType<typeof createDeliveryAttempts>;

const HEARTBEAT_MS = 2_000;
/** How long an attempt waits for a place among the requests in flight before it is put back. */
const GATE_PATIENCE_MS = 20_000;

export function createDeliveryAttempts(dependencies: DeliveryAttemptsDependencies) {
  const { db, sender, sealer, gate, breakerFailures, observe } = dependencies;
  return {
    /**
     * One HTTP request of a delivery, and the record of it. What the receiver does is the result.
     * @throws ApplicationFailure `WebhookDeliveryRetry` for faults of ours
     */
    async attemptDelivery(request: AttemptRequest): Promise<AttemptResult> {
      const pulse = setInterval(heartbeat, HEARTBEAT_MS);
      try {
        return await attempt(request);
      } catch (error) {
        throw webhookDeliveryRetry(error);
      } finally {
        clearInterval(pulse);
      }
    },
  };

  async function attempt(request: AttemptRequest): Promise<AttemptResult> {
    const { deliveryId, number, askedAt } = request;
    const signal = abandoned();
    const before = await look(request);
    if (isResult(before)) return before;
    const place = await gate.enter(before.subscriptionId, GATE_PATIENCE_MS);
    if (place === null) return hold(deliveryId);
    let found: AttemptCase;
    let sentAt: Date;
    let outcome: Outcome;
    try {
      const now = place.waited ? await look(request) : before;
      if (isResult(now)) return now;
      found = now;
      sentAt = new Date(Math.max(Date.now(), Date.parse(askedAt)));
      if (found.subscriptionState === 'tripped' && !(await mayProbe(deliveryId, found, sentAt)))
        return await hold(deliveryId);
      outcome = await send(deliveryId, number, found, signal);
    } finally {
      place.leave();
    }
    observe(outcome);
    const windowStartedAt = found.windowStartedAt ?? sentAt;
    const verdict = judgeAttempt(outcome, windowStartedAt.getTime(), sentAt.getTime() + outcome.durationMs);
    const made = { deliveryId, number, sentAt, outcome, verdict };
    const recorded = await recordPatiently(db, made, found.subscriptionId, signal);
    await keepBooks(db, { deliveryId, before: found, sentAt, outcome, verdict }, breakerFailures);
    return recorded === undefined ? GONE : standing(recorded, sentAt);
  }

  /** @returns what there is to send; or the attempt's result, where there is nothing to send */
  async function look({ deliveryId, number }: AttemptRequest): Promise<AttemptCase | AttemptResult> {
    const found = await loadAttemptCase(db, deliveryId, number);
    if (found === undefined) return GONE;
    // An earlier try of ours sent it and wrote it down, but its worker died before Temporal heard of it.
    if (found.alreadySentAt !== null) return standing(found, found.alreadySentAt);
    if (found.state !== 'pending') return standing(found, null);
    if (found.subscriptionState !== 'paused') return found;
    await endDelivery(db, deliveryId, 'failed', DEACTIVATED_DETAIL);
    return { ...GONE, state: 'failed', failureDetail: DEACTIVATED_DETAIL };
  }

  async function mayProbe(deliveryId: string, { subscriptionId }: AttemptCase, at: Date): Promise<boolean> {
    return claimProbe(db, { subscriptionId, deliveryId, at, leaseMs: PROBE_LEASE_MS });
  }

  /** Nothing is sent now: the delivery waits until a relay finds room for it, and wakes its workflow. */
  async function hold(deliveryId: string): Promise<AttemptResult> {
    const held = await holdDelivery(db, deliveryId);
    if (held !== undefined)
      return { state: 'pending', failureDetail: held.failureDetail, sentAt: null, nextAttemptAt: null };
    const found = await loadAttemptCase(db, deliveryId, 0); // it was ended just now
    return found === undefined ? GONE : standing(found, null);
  }

  async function send(deliveryId: string, number: number, found: AttemptCase, signal: AbortSignal): Promise<Outcome> {
    const webhook = webhookRequest({
      url: found.url,
      id: deliveryId,
      eventId: found.eventId,
      topic: found.topic,
      payload: found.payload,
      attempt: number,
      timestamp: new Date(),
      secrets: openSecrets(sealer, found),
      headers: openHeaders(sealer, found.headersSealed),
    });
    return await sender.post(webhook, signal);
  }
}

function isResult(looked: AttemptCase | AttemptResult): looked is AttemptResult {
  return !('payload' in looked);
}

const GONE: AttemptResult = { state: 'deleted', failureDetail: null, sentAt: null, nextAttemptAt: null };

function standing({ state, failureDetail, nextAttemptAt }: StandingDelivery, sentAt: Date | null): AttemptResult {
  return {
    state,
    failureDetail,
    sentAt: sentAt?.toISOString() ?? null,
    nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
  };
}
