import { proxyLocalActivities, setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { EgressActivities } from '../../activities/index.ts';
import type { DeliverWebhookInput } from '../../workflows/deliver-webhook.ts';
import { deliveryStatusQuery, retryNowSignal } from '../../workflows/messages.ts';

const { attemptDelivery } = proxyLocalActivities<Pick<EgressActivities, 'attemptDelivery'>>({
  startToCloseTimeout: '150 seconds',
});

/** What `deliverWebhook` does while nothing fails, with the attempt as a local activity, in the workflows' worker. */
export async function deliverByLocalActivity({ deliveryId, attemptsMade }: DeliverWebhookInput) {
  let state = 'pending';
  setHandler(deliveryStatusQuery, () => {
    throw new Error(`${state}: nobody asks in a bench`);
  });
  setHandler(retryNowSignal, () => undefined);
  const number = attemptsMade + 1;
  const result = await attemptDelivery({ deliveryId, number, askedAt: new Date().toISOString() });
  state = result.state;
  setCurrentDetails(`**${state}** after ${number} attempt\n\nlast attempt: ${String(result.sentAt)}`);
  return result;
}
