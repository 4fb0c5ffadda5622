import type { DeliveryWithAttempts } from '../../../src/client/deliveries.ts';
import { fastForward } from '../../../src/dev/fast-forward.ts';
import { deliveryWorkflowId } from '../../../src/domain/delivery.ts';
import { formatDelay } from '../../../src/domain/retry-policy.ts';
import { chapter, claim, list, say } from '../console.ts';
import type { Stage } from '../stage.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const SHOWN = 18;

/** @returns the id of the delivery that failed for good */
export async function liveOneDay(stage: Stage): Promise<string> {
  const { forgeflow, gitlab, repositories, until } = stage;
  const { deliveries } = forgeflow;
  chapter('One tag, and 24 hours in which one receiver recovers late and one never does');
  await gitlab.emit(repositories[0]!, 'tag_push_events');
  const ids = [await deliveryTo(stage, 'flaky'), await deliveryTo(stage, 'dead')] as const;
  const every = async (is: (delivery: DeliveryWithAttempts) => boolean): Promise<boolean> =>
    (await Promise.all(ids.map((id) => deliveries.show(id)))).every(is);
  await until(() => every(({ attemptCount }) => attemptCount >= 1));
  say('  skipping time: the workflows live through their day, every attempt is a real request');
  await Promise.all(ids.map((id) => fastForward(forgeflow.temporal, deliveryWorkflowId(id), DAY_MS + 60_000)));
  await until(() => every(({ pending }) => !pending));

  const [flaky, dead] = [await deliveries.show(ids[0]), await deliveries.show(ids[1])];
  list([
    ['flaky', schedule(flaky)],
    ['dead', schedule(dead)],
  ]);
  claim(
    `flaky got it on attempt ${flaky.attemptCount} of 36`,
    flaky.state === 'delivered' && flaky.attemptCount === 14,
  );
  claim(
    `dead failed for good after ${dead.attemptCount} attempts in 24 h: ${dead.failureDetail ?? ''}`,
    dead.state === 'failed' && dead.attemptCount === 36,
  );
  return dead.id;
}

async function deliveryTo({ forgeflow, until }: Stage, subscription: string): Promise<string> {
  let id: string | undefined;
  await until(async () => {
    id = (await forgeflow.deliveries.list({ subscription }))[0]?.id;
    return id !== undefined;
  });
  return id ?? '';
}

/** When the attempts were made, counted from the first: `0, 5 min, 10 min, … 24 h`. */
function schedule({ attempts }: DeliveryWithAttempts): string {
  const first = Date.parse(attempts[0]?.sentAt ?? '');
  const times = attempts.map(({ sentAt }) => formatDelay(Math.round((Date.parse(sentAt) - first) / 60_000) * 60_000));
  const shown = times.length > SHOWN ? [...times.slice(0, SHOWN - 3), '…', ...times.slice(-2)] : times;
  return shown.map((text, index) => (index === 0 ? '0' : text)).join(', ');
}
