import { chapter, claim } from '../console.ts';
import { withBar } from '../live-line.ts';
import type { Stage } from '../stage.ts';

const EVENTS = 500;
/** One of so many is answered with an error at first: never as many in a row as trip the breaker. */
const ONE_FAILS_OF = 100;
const AT_ONCE = 50;

/** The Web UI's search for the batches. */
export const EXPRESS_BATCHES = 'WorkflowType="deliverFirstAttempts" AND forgeflowSubscriptions="orders"';

export async function goExpress({ forgeflow, receivers, until, asked }: Stage): Promise<void> {
  const { deliveries, subscriptions, temporal } = forgeflow;
  chapter(`${EVENTS} events for a subscription in lane express, one of ${ONE_FAILS_OF} answered 500 at first`);
  let answers = 0;
  const receiver = await receivers.open(() =>
    ++answers % ONE_FAILS_OF === ONE_FAILS_OF / 2 && answers < EVENTS ? 500 : 204,
  );
  await subscriptions.add({ name: 'orders', url: receiver.url, patterns: ['orders.>'], lane: 'express' });
  const failing = EVENTS / ONE_FAILS_OF;
  const pending = () => deliveries.list({ subscription: 'orders', state: 'pending', limit: EVENTS });
  const delivered = () => deliveries.list({ subscription: 'orders', state: 'delivered', limit: EVENTS });

  await withBar({ total: EVENTS, of: 'arrived', asked }, async (moveTo) => {
    for (let order = 0; order < EVENTS; order += AT_ONCE) {
      const some = Array.from({ length: AT_ONCE }, (_, n) => ({ topic: 'orders.paid', data: { order: order + n } }));
      await Promise.all(some.map((event) => forgeflow.publish(event)));
    }
    await until(async () => {
      moveTo(receiver.requests.length);
      return receiver.requests.length >= EVENTS && (await delivered()).length >= EVENTS - failing;
    });
  });
  const ids = new Set(receiver.requests.map(({ headers }) => headers['webhook-id']));
  await until(
    async () => (await temporal.workflow.count(`${EXPRESS_BATCHES} AND ExecutionStatus="Running"`)).count === 0,
  );
  const batches = (await temporal.workflow.count(EXPRESS_BATCHES)).count;
  claim(
    `${ids.size} of ${EVENTS} arrived, each once, in batches: ${batches} workflows`,
    ids.size === EVENTS && receiver.requests.length === EVENTS && batches > 0 && batches < EVENTS / 5,
  );

  const own = async () =>
    (await temporal.workflow.count('WorkflowType="deliverWebhook" AND forgeflowSubscription="orders"')).count;
  await until(async () => (await own()) >= failing);
  const [retrying, workflows] = [await pending(), await own()];
  claim(
    `the ${retrying.length} that were answered 500 go on in ${workflows} workflows of their own, with attempt 2 in 5 min`,
    retrying.length === failing &&
      workflows === failing &&
      retrying.every(({ nextAttemptAt }) => nextAttemptAt !== null),
  );
  await Promise.all(retrying.map(({ id }) => deliveries.retry(id)));
  await until(async () => (await pending()).length === 0);
  const second = receiver.requests.slice(EVENTS);
  claim(
    'asked for now, they get through on attempt 2, under the ids that they had in their batch',
    second.length === failing &&
      second.every(({ headers }) => headers['x-forgeflow-attempt'] === '2' && ids.has(headers['webhook-id'])),
  );
}
