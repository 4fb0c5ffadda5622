import { Context, log } from '@temporalio/activity';
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
      try {
        return await new Batch(dependencies, request).run();
      } catch (error) {
        throw webhookDeliveryRetry(error);
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
  readonly #batchId: string;
  /** Those that are not begun yet. */
  readonly #waiting: Set<string>;
  readonly #signal = abandoned();
  readonly #cancellation = Context.current().cancellationSignal;
  readonly #ledger: AttemptLedger;
  readonly #result: FirstAttemptsResult = { delivered: 0, retrying: 0, failed: 0, putBack: 0, leftOut: 0 };
  /** What is still to be attempted, as it was last read. */
  #known = new Map<string, Known>();
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(dependencies: DeliveryAttemptsDependencies, { batchId, deliveryIds }: FirstAttemptsRequest) {
    this.#dependencies = dependencies;
    this.#batchId = batchId;
    this.#waiting = new Set(deliveryIds);
    const { db, breakerFailures } = dependencies;
    this.#ledger = new AttemptLedger({ db, batchId, breakerFailures, signal: this.#signal });
  }

  async run(): Promise<FirstAttemptsResult> {
    await this.#read();
    const known = [...this.#known.values()];
    this.#result.leftOut = this.#waiting.size - known.length;
    const ends = await Promise.allSettled(known.map(({ delivery }) => this.#attempt(delivery)));
    await this.#ledger.close();
    const fault = ends.find((end) => end.status === 'rejected');
    if (fault !== undefined) throw fault.reason;
    return this.#result;
  }

  /** One that may be attempted now; undefined when it is over meanwhile, or others have taken it. */
  async #current(id: string): Promise<Known | undefined> {
    if (performance.now() - this.#readAt >= FRESH_MS) {
      this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
      await this.#reading;
    }
    return this.#known.get(id);
  }

  /** Reads all that is not begun, in two statements. */
  async #read(): Promise<void> {
    const { db } = this.#dependencies;
    const readAt = performance.now();
    const deliveries = await loadBatch(db, this.#batchId, [...this.#waiting]);
    const rows = await loadBatchedSubscriptions(db, [...new Set(deliveries.map((one) => one.subscriptionId))]);
    const subscriptions = new Map<string, OpenSubscription>();
    for (const row of rows) {
      try {
        subscriptions.set(row.id, this.#open(row));
      } catch (fault) {
        log.warn('a subscription cannot be read', { subscriptionId: row.id, fault: String(fault) });
      }
    }
    const known = new Map<string, Known>();
    for (const delivery of deliveries) {
      const subscription = subscriptions.get(delivery.subscriptionId);
      if (subscription !== undefined) known.set(delivery.id, { delivery, subscription });
      else await leaveToOwnWorkflow(db, this.#batchId, delivery.id);
    }
    this.#known = known;
    this.#readAt = readAt;
  }

  #open(row: BatchedSubscription): OpenSubscription {
    const { sealer } = this.#dependencies;
    return { ...row, secrets: openSecrets(sealer, row), headers: openHeaders(sealer, row.headersSealed) };
  }

  async #attempt({ id, subscriptionId }: BatchedDelivery): Promise<void> {
    const { gate, db } = this.#dependencies;
    const place = await gate.enter(subscriptionId, GATE_PATIENCE_MS);
    try {
      if (place === null) {
        this.#putBack(id);
        return;
      }
      const known = await this.#current(id);
      this.#waiting.delete(id);
      if (known === undefined) this.#result.leftOut += 1;
      else await this.#send(known);
    } catch (fault) {
      if (this.#signal.aborted || isConnectionFault(fault)) throw fault;
      log.warn('a delivery could not be attempted in its batch', { deliveryId: id, fault: String(fault) });
      await leaveToOwnWorkflow(db, this.#batchId, id);
      this.#result.putBack += 1;
    } finally {
      this.#waiting.delete(id);
      place?.leave();
    }
  }

  #putBack(id: string): void {
    this.#ledger.putBack(id);
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
      this.#putBack(delivery.id);
      return;
    }
    const payload = delivery.payload ?? (await loadPayload(db, delivery.eventId));
    if (payload === undefined) {
      this.#result.leftOut += 1; // it went with its delivery
      return;
    }
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
