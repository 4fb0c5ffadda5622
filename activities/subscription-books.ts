import { log } from '@temporalio/activity';
import type { AttemptCase } from '../src/database/attempts.ts';
import { recordFailure, recordSuccesses } from '../src/database/circuit-breaker.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { nextProbeAt } from '../src/domain/circuit-breaker.ts';
import type { Verdict } from '../src/domain/delivery.ts';
import { type Outcome, retryAfterHeader } from '../src/domain/outcome.ts';
import { parseRetryAfter } from '../src/domain/retry-policy.ts';

export interface MadeAttempt {
  deliveryId: string;
  /** What was known of its subscription before it. */
  before: Pick<AttemptCase, 'subscriptionId' | 'trippedAt'>;
  sentAt: Date;
  outcome: Outcome;
  verdict: Verdict;
}

/** Keeps a subscription's books after an attempt, its circuit breaker among them. A fault in that never fails a delivery. */
export async function keepBooks(db: ForgeflowDatabase, attempt: MadeAttempt, breakerFailures: number): Promise<void> {
  await keepBooksOfMany(db, [attempt], breakerFailures);
}

/** The same after attempts to any subscriptions, in the order in which they were over. */
export async function keepBooksOfMany(
  db: ForgeflowDatabase,
  attempts: MadeAttempt[],
  breakerFailures: number,
): Promise<void> {
  // What was known before it says little here: others may have failed while it was on its way.
  const runs = [...runsOf(attempts).values()];
  const successes = runs.flatMap(({ subscriptionId, succeededAt: at }) =>
    at === null ? [] : [{ subscriptionId, at }],
  );
  if (successes.length > 0) await unlessFaulty(successes[0]?.subscriptionId, () => recordSuccesses(db, successes));
  for (const { subscriptionId, failures } of runs) {
    const last = failures.at(-1);
    if (last !== undefined)
      await unlessFaulty(subscriptionId, () => noteFailures(db, last, failures.length, breakerFailures));
  }
}

/** What attempts say of one subscription: when one succeeded, and which failed after it. */
interface Run {
  subscriptionId: string;
  succeededAt: Date | null;
  failures: MadeAttempt[];
}

function runsOf(attempts: MadeAttempt[]): Map<string, Run> {
  const runs = new Map<string, Run>();
  for (const attempt of attempts) {
    const { subscriptionId } = attempt.before;
    const run = runs.get(subscriptionId) ?? { subscriptionId, succeededAt: null, failures: [] };
    runs.set(subscriptionId, run);
    if (attempt.verdict.failureDetail !== null) {
      run.failures.push(attempt);
    } else {
      run.failures = [];
      if (run.succeededAt === null || attempt.sentAt > run.succeededAt) run.succeededAt = attempt.sentAt;
    }
  }
  return runs;
}

async function unlessFaulty(subscriptionId: string | undefined, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (fault) {
    log.warn('bookkeeping of a subscription failed', { subscriptionId, fault: String(fault) });
  }
}

async function noteFailures(
  db: ForgeflowDatabase,
  { deliveryId, before, sentAt, outcome, verdict }: MadeAttempt,
  count: number,
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
    count,
    at: new Date(now),
    error: verdict.failureDetail ?? '',
    threshold,
    nextProbeAt: new Date(next),
  });
}
