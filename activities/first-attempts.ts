import { Context, heartbeat, log } from '@temporalio/activity';
import { endDelivery } from '../src/database/deliveries.ts';
import {
  type BatchedDelivery,
  type BatchedSubscription,
  leaveToOwnWorkflow,
  loadBatch,
  loadBatchedSubscriptions,
  loadPayload,
} from '../src/database/first-attempts.ts';
import { isConnectionFault } from '../src/database/connection.ts';
import { DEACTIVATED_DETAIL, judgeAttempt } from '../src/domain/delivery.ts';
import type { FirstAttemptsResult } from '../src/domain/first-attempts.ts';
import type { Outcome } from '../src/domain/outcome.ts';
import { webhookRequest } from '../src/egress/webhook-request.ts';
import { abandoned } from './abandoned-attempt.ts';
import { AttemptLedger } from './attempt-ledger.ts';
import type { DeliveryAttemptsDependencies } from './delivery-attempts.ts';
import { webhookDeliveryRetry } from './failures.ts';
import { openHeaders, openSecrets } from './sealed-subscription.ts';

export interface FirstAttemptsRequest {
  batchId: string;
  deliveryIds: string[];
}

export type FirstAttempts = ReturnType<typeof createFirstAttempts>;

const HEARTBEAT_MS = 2_000;
/** How long an attempt waits for a place among the requests in flight before it is put back. */
const GATE_PATIENCE_MS = 20_000;
/** How long what was read of a delivery and its subscription holds; who waits longer for a place reads it again. */
const FRESH_MS = 250;

export function createFirstAttempts(dependencies: DeliveryAttemptsDependencies) {
  return {
    /**
     * The next attempt of each delivery of a batch, and the records of them. What receivers do is counted.
     * @throws ApplicationFailure `WebhookDeliveryRetry` for faults of ours; what was written down by then is not repeated
     */
    async makeFirstAttempts(request: FirstAttemptsRequest): Promise<FirstAttemptsResult> {
      const pulse = setInterval(heartbeat, HEARTBEAT_MS);
      try {
        return await new Batch(dependencies, request).run();
      } catch (error) {
        throw webhookDeliveryRetry(error);
      } finally {
        clearInterval(pulse);
      }
    },
  };
}

/** What an attempt is made of. */
interface Known {
  delivery: BatchedDelivery;
  subscription: OpenSubscription;
}

interface OpenSubscription extends BatchedSubscription {
  secrets: [string, ...string[]];
  headers: Record<string, string>;
}

class Batch {
  readonly #dependencies: DeliveryAttemptsDependencies;
  readonly #request: FirstAttemptsRequest;
  readonly #signal = abandoned();
  readonly #cancellation = Context.current().cancellationSignal;
  readonly #ledger: AttemptLedger;
  readonly #result: FirstAttemptsResult = { delivered: 0, retrying: 0, failed: 0, putBack: 0, leftOut: 0 };

  constructor(dependencies: DeliveryAttemptsDependencies, request: FirstAttemptsRequest) {
    this.#dependencies = dependencies;
    this.#request = request;
    const { db, breakerFailures } = dependencies;
    this.#ledger = new AttemptLedger({ db, batchId: request.batchId, breakerFailures, signal: this.#signal });
  }

  async run(): Promise<FirstAttemptsResult> {
    const { deliveryIds } = this.#request;
    const read = await this.#read(deliveryIds);
    this.#result.leftOut = deliveryIds.length - read.length;
    const readAt = performance.now();
    const ends = await Promise.allSettled(read.map((known) => this.#attempt(known, readAt)));
    await this.#ledger.close();
    const fault = ends.find((end) => end.status === 'rejected');
    if (fault !== undefined) throw fault.reason;
    return this.#result;
  }

  async #read(deliveryIds: string[]): Promise<Known[]> {
    const { db } = this.#dependencies;
    const deliveries = await loadBatch(db, this.#request.batchId, deliveryIds);
    const rows = await loadBatchedSubscriptions(db, [...new Set(deliveries.map((one) => one.subscriptionId))]);
    const subscriptions = new Map<string, OpenSubscription>();
    for (const row of rows) {
      try {
        subscriptions.set(row.id, this.#open(row));
      } catch (fault) {
        log.warn('a subscription cannot be read', { subscriptionId: row.id, fault: String(fault) });
      }
    }
    const known: Known[] = [];
    for (const delivery of deliveries) {
      const subscription = subscriptions.get(delivery.subscriptionId);
      if (subscription !== undefined) known.push({ delivery, subscription });
      else await leaveToOwnWorkflow(db, this.#request.batchId, delivery.id);
    }
    return known;
  }

  #open(row: BatchedSubscription): OpenSubscription {
    const { sealer } = this.#dependencies;
    return { ...row, secrets: openSecrets(sealer, row), headers: openHeaders(sealer, row.headersSealed) };
  }

  async #attempt(before: Known, readAt: number): Promise<void> {
    const { gate } = this.#dependencies;
    const place = await gate.enter(before.delivery.subscriptionId, GATE_PATIENCE_MS);
    if (place === null) {
      this.#putBack(before);
      return;
    }
    try {
      const isFresh = performance.now() - readAt < FRESH_MS;
      const known = isFresh ? before : (await this.#read([before.delivery.id]))[0];
      if (known === undefined) this.#result.leftOut += 1;
      else await this.#send(known);
    } catch (fault) {
      if (this.#signal.aborted || isConnectionFault(fault)) throw fault;
      log.warn('a delivery could not be attempted in its batch', {
        deliveryId: before.delivery.id,
        fault: String(fault),
      });
      await leaveToOwnWorkflow(this.#dependencies.db, this.#request.batchId, before.delivery.id);
      this.#result.putBack += 1;
    } finally {
      place.leave();
    }
  }

  #putBack({ delivery }: Known): void {
    this.#ledger.putBack(delivery.id);
    this.#result.putBack += 1;
  }

  async #send({ delivery, subscription }: Known): Promise<void> {
    const { db, sender, observe } = this.#dependencies;
    if (subscription.state === 'paused') {
      await endDelivery(db, delivery.id, 'failed', DEACTIVATED_DETAIL);
      this.#result.failed += 1;
      return;
    }
    // Who is cancelled begins nothing more.
    if (subscription.state === 'tripped' || this.#cancellation.aborted) {
      this.#putBack({ delivery, subscription });
      return;
    }
    const payload = delivery.payload ?? (await loadPayload(db, delivery.eventId));
    if (payload === undefined) return; // it went with its delivery
    const sentAt = new Date();
    const request = webhookRequest({
      url: subscription.url,
      id: delivery.id,
      eventId: delivery.eventId,
      topic: delivery.topic,
      payload,
      attempt: delivery.number,
      timestamp: sentAt,
      secrets: subscription.secrets,
      headers: subscription.headers,
    });
    const outcome = await sender.post(request, this.#signal);
    observe(outcome);
    this.#enter({ delivery, subscription }, sentAt, outcome);
  }

  #enter({ delivery, subscription }: Known, sentAt: Date, outcome: Outcome): void {
    const windowStartedAt = delivery.windowStartedAt ?? sentAt;
    const verdict = judgeAttempt(outcome, windowStartedAt.getTime(), sentAt.getTime() + outcome.durationMs);
    this.#result[verdict.state === 'pending' ? 'retrying' : verdict.state] += 1;
    const before = { subscriptionId: subscription.id, trippedAt: subscription.trippedAt };
    this.#ledger.enter({ deliveryId: delivery.id, number: delivery.number, before, sentAt, outcome, verdict });
  }
}
