import {
  createDeliveryAttempts,
  type DeliveryAttempts,
  type DeliveryAttemptsDependencies,
} from './delivery-attempts.ts';
import { createTestSends, type TestSends } from './test-sends.ts';
import { createDeliveryRecords, type DeliveryRecords } from './delivery-records.ts';

export type ActivityDependencies = DeliveryAttemptsDependencies;

/** On task queue `egress`. */
export type EgressActivities = DeliveryAttempts & TestSends;
/** On task queue `forgeflow`. */
export type RecordActivities = DeliveryRecords;

/** All activities, by the task queue that serves them. */
export interface Activities {
  forgeflow: RecordActivities;
  egress: EgressActivities;
}

export function createActivities(dependencies: ActivityDependencies): Activities {
  return {
    forgeflow: createDeliveryRecords(dependencies),
    egress: { ...createDeliveryAttempts(dependencies), ...createTestSends(dependencies) },
  };
}
