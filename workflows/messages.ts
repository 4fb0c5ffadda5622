import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { DeliveryState } from '../src/domain/delivery.ts';

/** Where a delivery's workflow stands. Times are ISO 8601. */
export interface DeliveryStatus {
  /** `deleted`: its subscription is gone, and the delivery with it. */
  state: DeliveryState | 'deleted';
  /** Attempts made, those of earlier rounds included. */
  attemptCount: number;
  /** Why the last attempt failed; null when none did, or the last got through. */
  failureDetail: string | null;
  lastAttemptAt: string | null;
  nextAttemptAt: string | null;
}

export const deliveryStatusQuery = defineQuery<DeliveryStatus>('deliveryStatus');

// Each comes twice: an update answers with what came of it, a signal also reaches a workflow whose workers are down.
/** Try now, whatever the schedule says. The update answers when the attempt is over. */
export const retryNowUpdate = defineUpdate<DeliveryStatus>('retryNow');
/** Also how a workflow is told that its delivery was changed in the database: the attempt looks there first. */
export const retryNowSignal = defineSignal('retryNow');
export const cancelDeliveryUpdate = defineUpdate<DeliveryStatus>('cancelDelivery');
export const cancelDeliverySignal = defineSignal('cancelDelivery');
