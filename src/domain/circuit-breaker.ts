import { QUICK_DELAY_MS, retryDelay, SLOW_DELAY_MS } from './retry-policy.ts';

/** How long a probe has to come to its end before another one may go out; longer than any attempt takes. */
export const PROBE_LEASE_MS = QUICK_DELAY_MS;

export interface FailedProbe {
  /** When the breaker tripped. Epoch ms. */
  trippedAt: number;
  /** When the attempt that failed was over. Epoch ms. */
  now: number;
  /** When its own delivery wants to be tried again; null when it has failed for good. Epoch ms. */
  nextAttemptAt: number | null;
  /** What the receiver's `Retry-After` asked for; null where it asked for nothing. */
  retryAfterMs: number | null;
}

/**
 * When one delivery may go out again to a tripped subscription, in epoch ms: on the schedule of retries, counted from
 * the trip, or when the delivery that just failed is due, whichever comes first. Unlike a delivery, a breaker never
 * gives up.
 */
export function nextProbeAt({ trippedAt, now, nextAttemptAt, retryAfterMs }: FailedProbe): number {
  const delayMs = retryDelay({ windowStartedAt: trippedAt, now, retryAfterMs }) ?? SLOW_DELAY_MS;
  return Math.min(now + delayMs, nextAttemptAt ?? Infinity);
}
