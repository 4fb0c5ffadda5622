import { chapter, claim } from '../console.ts';
import type { Stage } from '../stage.ts';
import { MISSED } from './breaker.ts';
import type { Cast } from './subscribe.ts';

/** @param failedId the delivery to dead that failed for good */
export async function comeBack(stage: Stage, { deadPort }: Cast, failedId: string): Promise<void> {
  const { forgeflow, receivers, until } = stage;
  chapter('Dead comes back, and its failed delivery is queued again by hand');
  const revived = await receivers.open(() => 200, deadPort);
  await forgeflow.deliveries.redeliver(failedId);
  await until(async () => !(await forgeflow.deliveries.show(failedId)).pending);
  const redelivered = await forgeflow.deliveries.show(failedId);
  claim(
    `delivered on attempt ${redelivered.attemptCount}, under the id it always had (webhook-id ${failedId})`,
    redelivered.state === 'delivered' && revived.requests[0]?.headers['webhook-id'] === failedId,
  );
  await until(async () => (await forgeflow.deliveries.list({ subscription: 'dead', state: 'pending' })).length === 0);
  claim(
    `that closed the breaker, and the ${MISSED} that waited got through`,
    (await forgeflow.subscriptions.show('dead')).state === 'active' && revived.requests.length === MISSED + 1,
  );
}
