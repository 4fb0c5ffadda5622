import { AsyncLocalStorage } from 'node:async_hooks';
import { Context, log } from '@temporalio/activity';
import { endDelivery } from '../src/database/deliveries.ts';
import { leaveToOwnWorkflow, loadBatch, type LoadedBatch, loadPayload } from '../src/database/first-attempts.ts';
import { isConnectionFault } from '../src/database/connection.ts';
import { DEACTIVATED_DETAIL, judgeAttempt } from '../src/domain/delivery.ts';
import type { BatchedDelivery, FirstAttemptsResult } from '../src/domain/first-attempts.ts';
import { searchable } from '../src/domain/names-within.ts';
import type { Outcome } from '../src/domain/outcome.ts';
import type { OpenBatch, OpenBatches } from '../src/egress/open-batches.ts';
import { webhookRequest } from '../src/egress/webhook-request.ts';
import { abandoned } from './abandoned-attempt.ts';
import { AttemptLedger } from './attempt-ledger.ts';
import { AttemptRecorder } from './attempt-recorder.ts';
import type { DeliveryAttemptsDependencies } from './delivery-attempts.ts';
import { webhookDeliveryRetry } from './failures.ts';
import { type OpenedSubscription, OpenedSubscriptions } from './opened-subscriptions.ts';

export interface FirstAttemptsRequest {
  batchId: string;
  /** Those that it was started with; it has more if it is made anew, or some were added. */
  deliveryIds: string[];
}

export interface FirstAttemptsDependencies extends DeliveryAttemptsDependencies {
  openBatches: OpenBatches;
}

export type FirstAttempts = ReturnType<typeof createFirstAttempts>;

/** How long an attempt waits for a place among the requests in flight before it is put back. */
const GATE_PATIENCE_MS = 20_000;
/** How long what was read of a delivery holds; who waits longer for a place reads it again. */
const FRESH_MS = 250;

export function createFirstAttempts(dependencies: FirstAttemptsDependencies) {
  const parts = {
    ...dependencies,
    subscriptions: new OpenedSubscriptions(dependencies),
    recorder: new AttemptRecorder(dependencies),
  };
  return {
    /**
     * The next attempt of each delivery of a batch, those that are added while it is open too, and the records of them. What
     * receivers do is counted.
     * @throws ApplicationFailure `WebhookDeliveryRetry` for faults of ours; what was written down by then is not repeated
     */
    async makeFirstAttempts(request: FirstAttemptsRequest): Promise<FirstAttemptsResult> {
      try {
        return await new Batch(parts, request).run();
      } catch (error) {
        throw webhookDeliveryRetry(error);
      }
    },
  };
}

interface BatchParts extends FirstAttemptsDependencies {
  subscriptions: OpenedSubscriptions;
  recorder: AttemptRecorder;
}

/** A delivery whose attempt is not begun yet. */
interface Waiting {
  delivery: BatchedDelivery;
  /** Of the subscriptions, when it was read. */
  version: string;
  readAt: number;
}

/** What an attempt is made of. */
interface Known {
  delivery: BatchedDelivery;
  subscription: OpenedSubscription;
}

class Batch {
  readonly #parts: BatchParts;
  readonly #request: FirstAttemptsRequest;
  readonly #waiting = new Map<string, Waiting>();
  /** Those under way. */
  readonly #attempts = new Set<Promise<void>>();
  #open: OpenBatch | undefined;
  #fault: unknown;
  readonly #names = new Set<string>();
  readonly #signal = abandoned();
  readonly #cancellation = Context.current().cancellationSignal;
  readonly #ledger: AttemptLedger;
  readonly #result = { delivered: 0, retrying: 0, failed: 0, putBack: 0, leftOut: 0 };
  #rereading: Promise<void> | undefined;

  constructor(parts: BatchParts, request: FirstAttemptsRequest) {
    this.#parts = parts;
    this.#request = request;
    this.#ledger = new AttemptLedger({
      ...parts,
      batchId: request.batchId,
      signal: this.#signal,
      onWritten: (count) => this.#open?.leave(count),
      onFault: () => this.#open?.close(),
    });
  }

  async run(): Promise<FirstAttemptsResult> {
    const { batchId, deliveryIds } = this.#request;
    const there = await loadBatch(this.#parts.db, batchId);
    const ids = new Set(there.deliveries.map(({ id }) => id));
    this.#result.leftOut += deliveryIds.filter((id) => !ids.has(id)).length;
    // Only now: what is handed over must not be read here too.
    const inThisActivity = AsyncLocalStorage.snapshot(); // whoever hands it over is in none, and could not log
    const { closed, close } = (this.#open = this.#parts.openBatches.open(batchId, ids.size, (handed) => {
      inThisActivity(() => {
        this.#begin(handed);
      });
    }));
    if (this.#cancellation.aborted) close();
    this.#cancellation.addEventListener('abort', close);
    this.#begin(there);
    await closed;
    while (this.#attempts.size > 0) await Promise.all(this.#attempts);
    await this.#ledger.close();
    if (this.#fault !== undefined) throw this.#fault as Error;
    return { ...this.#result, subscriptions: searchable([...this.#names]) };
  }

  #begin({ deliveries, version }: LoadedBatch): void {
    const readAt = performance.now();
    for (const delivery of deliveries) {
      this.#waiting.set(delivery.id, { delivery, version, readAt });
      const attempt = this.#attempt(delivery)
        .catch((fault: unknown) => {
          this.#breakOff(fault);
        })
        .finally(() => this.#attempts.delete(attempt));
      this.#attempts.add(attempt);
    }
  }

  /** The rest is for the activity's next try. */
  #breakOff(fault: unknown): void {
    this.#fault ??= fault;
    this.#open?.close();
  }

  async #attempt({ id, subscriptionId }: BatchedDelivery): Promise<void> {
    const { gate, db } = this.#parts;
    const place = await gate.enter(subscriptionId, GATE_PATIENCE_MS);
    try {
      if (place === null) {
        this.#putBack(id);
        return;
      }
      const known = await this.#current(id);
      this.#waiting.delete(id);
      if (known === undefined) this.#leave('leftOut');
      else await this.#send(known);
    } catch (fault) {
      if (this.#signal.aborted || isConnectionFault(fault)) throw fault;
      log.warn('a delivery could not be attempted in its batch', { deliveryId: id, fault: String(fault) });
      await leaveToOwnWorkflow(db, this.#request.batchId, id);
      this.#leave('putBack');
    } finally {
      this.#waiting.delete(id);
      place?.leave();
    }
  }

  /** One that may be attempted now; undefined when it is over meanwhile, or others have taken it. */
  async #current(id: string): Promise<Known | undefined> {
    const { db, subscriptions } = this.#parts;
    if (performance.now() - (this.#waiting.get(id)?.readAt ?? 0) >= FRESH_MS) {
      this.#rereading ??= this.#reread().finally(() => (this.#rereading = undefined));
      await this.#rereading;
    }
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return undefined;
    const { delivery, version } = waiting;
    const subscription = await subscriptions.get(delivery.subscriptionId, version);
    if (subscription === null) await leaveToOwnWorkflow(db, this.#request.batchId, id);
    if (!subscription) return undefined;
    this.#names.add(subscription.name);
    return { delivery, subscription };
  }

  /** Reads all that is not begun. */
  async #reread(): Promise<void> {
    const ids = [...this.#waiting.keys()];
    const readAt = performance.now();
    const { deliveries, version } = await loadBatch(this.#parts.db, this.#request.batchId, ids);
    const there = new Map(deliveries.map((delivery) => [delivery.id, delivery]));
    for (const id of ids) {
      const delivery = there.get(id);
      if (delivery === undefined) this.#waiting.delete(id);
      else if (this.#waiting.has(id)) this.#waiting.set(id, { delivery, version, readAt });
    }
  }

  /** One of which there is nothing to be written down. */
  #leave(as: 'failed' | 'putBack' | 'leftOut'): void {
    this.#result[as] += 1;
    this.#open?.leave(1);
  }

  #putBack(id: string): void {
    this.#ledger.putBack(id);
    this.#result.putBack += 1;
  }

  async #send({ delivery, subscription }: Known): Promise<void> {
    const { db, sender, observe } = this.#parts;
    if (subscription.state === 'paused') {
      await endDelivery(db, delivery.id, 'failed', DEACTIVATED_DETAIL);
      this.#leave('failed');
      return;
    }
    // Who is cancelled begins nothing more.
    if (subscription.state === 'tripped' || this.#cancellation.aborted) {
      this.#putBack(delivery.id);
      return;
    }
    const payload = delivery.payload ?? (await loadPayload(db, delivery.eventId));
    if (payload === undefined) {
      this.#leave('leftOut'); // it went with its delivery
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
