/** The most deliveries of one batch. */
export const BATCH_SIZE = 100;

/** Payloads up to here are read with their deliveries, in bytes: a batch of them fits into a MiB. */
export const SMALL_PAYLOAD = 10_000;

/** A delivery that goes out with a batch, as its attempt needs to know it. */
export interface BatchedDelivery {
  id: string;
  /** Of the attempt that is to be made: above 1 for one that was queued again. */
  number: number;
  windowStartedAt: Date | null;
  eventId: string;
  topic: string;
  /** Null where it is large: it is read when it is sent, so that not all of a batch are in memory at once. */
  payload: string | null;
  subscriptionId: string;
}

/** What the deliveries of a batch came to. */
export interface FirstAttemptsResult {
  delivered: number;
  /** Each of them goes on in a workflow of its own, with its next attempt. */
  retrying: number;
  /** The receiver is gone for good, or the subscription paused. */
  failed: number;
  /** Sent later: there was no room, or the circuit breaker of their subscription is open. */
  putBack: number;
  /** Not attempted here: they were over, or others had taken them. */
  leftOut: number;
  /** Whose they were, by name, as many as can be searched for. Batches of old, to which nothing was added, did not say. */
  subscriptions?: string[];
}

/** A batch's workflow id. */
export function firstAttemptsWorkflowId(batchId: string): string {
  return `first-attempts/${batchId}`;
}
