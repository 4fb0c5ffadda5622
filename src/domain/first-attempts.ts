/** The most deliveries of one batch. */
export const BATCH_SIZE = 100;

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
}

/** A batch's workflow id. */
export function firstAttemptsWorkflowId(batchId: string): string {
  return `first-attempts/${batchId}`;
}
