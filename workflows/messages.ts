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

/** Where a job stands. */
export interface JobStatus {
  /** How often it was run, this time included; attempts of one run count once. */
  runs: number;
  /** Somebody asked for it while it ran, so it is run once more. */
  isAskedAgain: boolean;
  /** When a job goes on that GitLab's rate limit has stopped; ISO 8601, null while it runs. */
  waitsUntil: string | null;
  /** What the last run came to, or why it did not get through. */
  lastSaid: string | null;
}

/** What is known of a job that is dead. */
export interface JobDeath {
  /** At its last run. */
  attempts: number;
  /** The newest that it was asked for with. */
  payload: unknown;
}

export const jobStatusQuery = defineQuery<JobStatus>('jobStatus');
/** Somebody asks for the job with this payload, while it is active already. */
export const jobAskedSignal = defineSignal<[payload: unknown]>('jobAsked');
