import { ApplicationFailure } from '@temporalio/common';

/**
 * A fault of ours while a delivery was attempted: Temporal tries again, without using up the delivery's attempts.
 * The error itself is not attached: it may carry what must not stand in a history.
 */
export function webhookDeliveryRetry(error: unknown): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'WebhookDeliveryRetry',
    message: error instanceof Error ? `${error.name}: ${error.message}` : 'an unknown fault',
  });
}
