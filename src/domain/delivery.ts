import { failureDetail, isGone, isSuccess, type Outcome, retryAfterHeader } from './outcome.ts';
import { parseRetryAfter, retryDelay } from './retry-policy.ts';

export const DELIVERY_STATES = ['pending', 'delivered', 'failed', 'cancelled'] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** `failure_detail` of a delivery whose subscription was paused before it got through. */
export const DEACTIVATED_DETAIL = 'Webhook deactivated';
export const CANCELLED_DETAIL = 'Cancelled by hand';

/** The largest payload of an event, in bytes of UTF-8. */
export const PAYLOAD_LIMIT = 1024 * 1024;

/** What an attempt made of its delivery: over, or waiting for the next attempt. */
export interface Verdict {
  state: 'pending' | 'delivered' | 'failed';
  /** Null when delivered. */
  failureDetail: string | null;
  /** When to try again; null unless pending. Epoch ms. */
  nextAttemptAt: number | null;
  /** True when the receiver asked, by 410 Gone, to be sent nothing any more. */
  disablesSubscription: boolean;
}

/** Times are epoch ms; `now` is when the attempt was over. */
export function judgeAttempt(outcome: Outcome, windowStartedAt: number, now: number): Verdict {
  const detail = failureDetail(outcome);
  if (isSuccess(outcome)) return over('delivered', detail);
  if (isGone(outcome)) return { ...over('failed', detail), disablesSubscription: true };
  const retryAfterMs = parseRetryAfter(retryAfterHeader(outcome), now);
  const delayMs = retryDelay({ windowStartedAt, now, retryAfterMs });
  if (delayMs === null) return over('failed', detail);
  return { state: 'pending', failureDetail: detail, nextAttemptAt: now + delayMs, disablesSubscription: false };
}

function over(state: 'delivered' | 'failed', detail: string | null): Verdict {
  return { state, failureDetail: detail, nextAttemptAt: null, disablesSubscription: false };
}

/** A delivery's workflow id: a sentence, and one per delivery, so that Temporal itself keeps it single. */
export function deliveryWorkflowId(deliveryId: string): string {
  return `delivery/${deliveryId}`;
}
