import { Context, heartbeat, log } from '@temporalio/activity';
import pRetry from 'p-retry';
import {
  type AttemptCase,
  type AttemptRecord,
  loadAttemptCase,
  recordAttempt,
  type StandingDelivery,
} from '../src/database/attempts.ts';
import { type ForgeflowDatabase, isConnectionFault } from '../src/database/connection.ts';
import { endDeliveriesOf, endDelivery } from '../src/database/deliveries.ts';
import { disableSubscription, keepBooks } from '../src/database/subscriptions.ts';
import { DEACTIVATED_DETAIL, type DeliveryState, judgeAttempt, type Verdict } from '../src/domain/delivery.ts';
import type { Outcome } from '../src/domain/outcome.ts';
import type { Sender } from '../src/egress/send.ts';
import { webhookRequest } from '../src/egress/webhook-request.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import { webhookDeliveryRetry } from './failures.ts';
import { openHeaders, openSecrets } from './sealed-subscription.ts';

export interface DeliveryAttemptsDependencies {
  db: ForgeflowDatabase;
  sender: Sender;
  sealer: Sealer;
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
  nextAttemptAt: string | null;
}

export type DeliveryAttempts = ReturnType<typeof createDeliveryAttempts>;

const HEARTBEAT_MS = 2_000;
const BOOKS_EVERY_MS = 1_000;
/** How long a finished attempt waits for a database that is away, before the attempt counts as not made. */
const RECORDING_PATIENCE_MS = 60_000;

export function createDeliveryAttempts({ db, sender, sealer }: DeliveryAttemptsDependencies) {
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

  async function attempt({ deliveryId, number, askedAt }: AttemptRequest): Promise<AttemptResult> {
    const found = await loadAttemptCase(db, deliveryId, number);
    if (found === undefined) return GONE;
    // An earlier try of ours sent it and wrote it down, but its worker died before Temporal heard of it.
    if (found.alreadySentAt !== null) return standing(found, found.alreadySentAt);
    if (found.state !== 'pending') return standing(found, null);
    if (found.subscriptionState === 'paused') {
      await endDelivery(db, deliveryId, 'failed', DEACTIVATED_DETAIL);
      return { ...GONE, state: 'failed', failureDetail: DEACTIVATED_DETAIL };
    }

    const sentAt = new Date(Math.max(Date.now(), Date.parse(askedAt)));
    const outcome = await send(deliveryId, number, found);
    const windowStartedAt = found.windowStartedAt ?? sentAt;
    const verdict = judgeAttempt(outcome, windowStartedAt.getTime(), sentAt.getTime() + outcome.durationMs);
    const recorded = await record({ deliveryId, number, sentAt, outcome, verdict }, found.subscriptionId);
    if (booksChange(found, sentAt, verdict)) await keepBooksAnyway(found.subscriptionId, sentAt, verdict.failureDetail);
    return recorded === undefined ? GONE : standing(recorded, sentAt);
  }

  async function send(deliveryId: string, number: number, found: AttemptCase): Promise<Outcome> {
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
    return await sender.post(webhook, abandoned());
  }

  /** A database that restarts just now would cost the receiver a second copy of the request: waited for, briefly. */
  async function record(attempt: AttemptRecord, subscriptionId: string): Promise<StandingDelivery | undefined> {
    const write = attempt.verdict.disablesSubscription ? recordAndDisable : recordAttempt;
    return pRetry(() => write(db, attempt, subscriptionId), {
      shouldRetry: ({ error }) => isConnectionFault(error),
      retries: Number.POSITIVE_INFINITY,
      minTimeout: 100,
      maxTimeout: 2_000,
      maxRetryTime: RECORDING_PATIENCE_MS,
    });
  }

  /** The receiver is gone for good: all that is on its way to it ends, together with this attempt or not at all. */
  async function recordAndDisable(
    database: ForgeflowDatabase,
    attempt: AttemptRecord,
    subscriptionId: string,
  ): Promise<StandingDelivery | undefined> {
    return database.transaction().execute(async (transaction) => {
      const recorded = await recordAttempt(transaction, attempt);
      await disableSubscription(transaction, subscriptionId);
      await endDeliveriesOf(transaction, subscriptionId);
      return recorded;
    });
  }

  /** A bookkeeping fault never fails a delivery. */
  async function keepBooksAnyway(subscriptionId: string, at: Date, error: string | null): Promise<void> {
    try {
      await keepBooks(db, subscriptionId, at, error);
    } catch (fault) {
      log.warn('bookkeeping of a subscription failed', { subscriptionId, fault: String(fault) });
    }
  }
}

/**
 * Whether there is news for the subscription's books. In a burst of successes every delivery would lock and write the
 * same row; one a second says as much.
 */
function booksChange(before: AttemptCase, at: Date, { failureDetail }: Verdict): boolean {
  if (failureDetail !== null || before.consecutiveFailures > 0) return true;
  return before.lastSuccessAt === null || at.getTime() - before.lastSuccessAt.getTime() >= BOOKS_EVERY_MS;
}

/**
 * Aborts when nobody waits for this attempt any more: the worker is being shut down, or Temporal gave the attempt to
 * another. Someone's wish to cancel the delivery is no reason to break off a request that is on its way.
 */
function abandoned(): AbortSignal {
  const controller = new AbortController();
  const context = Context.current(); // the listener is called from outside of the activity
  context.cancellationSignal.addEventListener('abort', () => {
    if (context.cancellationDetails?.cancelRequested) return;
    controller.abort(new Error(`attempt ${context.info.activityId} was broken off`));
  });
  return controller.signal;
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
