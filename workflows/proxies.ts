import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import type { EgressActivities, RecordActivities } from '../activities/index.ts';

/** Outgoing webhooks, on workers that may stand in a network of their own. */
export const egress = proxyActivities<Pick<EgressActivities, 'attemptDelivery'>>({
  taskQueue: 'egress',
  // The longest request (60 s) and the longest wait for a database that restarts (60 s), with room to end in order.
  startToCloseTimeout: '150 seconds',
  // A worker that was killed is found out by its silence, and another one makes the attempt.
  heartbeatTimeout: '10 seconds',
  // Only our own faults come here as failures; they may last for hours and must not use up the delivery's 24 h.
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
  // A request under way is let through to its end, so that what it came to is known and written down.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

/** Quick writes to the records. */
export const records = proxyActivities<RecordActivities>({
  taskQueue: 'forgeflow',
  // One statement by primary key; longer means that the connection is dead.
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** A request that a person waits for: when something is wrong on our side, they hear of it instead of waiting. */
export const testSends = proxyActivities<Pick<EgressActivities, 'sendTest'>>({
  taskQueue: 'egress',
  startToCloseTimeout: '75 seconds', // the longest request, and the reading of the subscription before it
  retry: { maximumAttempts: 1 },
});
