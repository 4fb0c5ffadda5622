import { log } from '@temporalio/activity';
import type { AttemptCase } from '../src/database/attempts.ts';
import { recordFailure, recordSuccess } from '../src/database/circuit-breaker.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { nextProbeAt } from '../src/domain/circuit-breaker.ts';
import type { Verdict } from '../src/domain/delivery.ts';
import { type Outcome, retryAfterHeader } from '../src/domain/outcome.ts';
import { parseRetryAfter } from '../src/domain/retry-policy.ts';

export interface MadeAttempt {
  deliveryId: string;
  /** What was known before it. */
  before: AttemptCase;
  sentAt: Date;
  outcome: Outcome;
  verdict: Verdict;
}

/** Keeps a subscription's books after an attempt, its circuit breaker among them. A fault in that never fails a delivery. */
export async function keepBooks(db: ForgeflowDatabase, attempt: MadeAttempt, breakerFailures: number): Promise<void> {
  try {
    // What was known before it says little here: others may have failed while it was on its way.
    if (attempt.verdict.failureDetail === null) await recordSuccess(db, attempt.before.subscriptionId, attempt.sentAt);
    else await noteFailure(db, attempt, attempt.verdict.failureDetail, breakerFailures);
  } catch (fault) {
    log.warn('bookkeeping of a subscription failed', {
      subscriptionId: attempt.before.subscriptionId,
      fault: String(fault),
    });
  }
}

async function noteFailure(
  db: ForgeflowDatabase,
  { deliveryId, before, sentAt, outcome, verdict }: MadeAttempt,
  error: string,
  threshold: number,
): Promise<void> {
  const now = sentAt.getTime() + outcome.durationMs;
  const next = nextProbeAt({
    trippedAt: before.trippedAt?.getTime() ?? now,
    now,
    nextAttemptAt: verdict.nextAttemptAt,
    retryAfterMs: parseRetryAfter(retryAfterHeader(outcome), now),
  });
  await recordFailure(db, {
    subscriptionId: before.subscriptionId,
    deliveryId,
    at: new Date(now),
    error,
    threshold,
    nextProbeAt: new Date(next),
  });
}
