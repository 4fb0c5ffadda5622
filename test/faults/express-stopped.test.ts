import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { deliveriesOf, publishNumbers, subscribeExpress, untilBatchesEnded, untilCount } from '../support/express.ts';
import { idsOf, startHoldingReceiver } from '../support/holding-receiver.ts';
import { startWorkerProcess } from '../support/worker-process.ts';

const COUNT = 60;
const GRACE_MS = 15_000;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    withoutWorkers: true,
    timeoutMs: 10_000,
    settings: { EGRESS_CONCURRENCY: '4', EGRESS_CONCURRENCY_PER_SUBSCRIPTION: '2' },
  });
});
afterAll(() => environment.stop());

test('E14 E9: SIGTERM in mid-batch: what is on its way ends and is recorded, the rest goes out by another worker, nothing twice', async () => {
  const { forgeflow, variables } = environment;
  // Some are through already; then those that hold all places.
  const receiver = await startHoldingReceiver((_request, index) => index < 10);
  const first = await startWorkerProcess(variables);
  const subscription = await subscribeExpress(environment, receiver.url);
  const deliveries = await publishNumbers(environment, subscription, COUNT);
  await receiver.waitForRequests(12);
  await untilCount(forgeflow, subscription.name, 'delivered', 10);
  const askedAt = Date.now();
  first.kill('SIGTERM');
  await sleep(1_000);
  receiver.letGo(200);
  expect(await first.ended).toBe(0);
  expect(Date.now() - askedAt).toBeLessThan(GRACE_MS);

  const sent = receiver.requests.length;
  expect(sent).toBeLessThan(COUNT);
  const shown = await deliveriesOf(forgeflow, subscription.name);
  expect(shown.filter(({ state, attemptCount }) => state === 'delivered' && attemptCount === 1).length).toBe(sent);
  expect(shown.filter(({ pending, attemptCount }) => pending && attemptCount === 0).length).toBe(COUNT - sent);

  const second = await startWorkerProcess(variables);
  await untilCount(forgeflow, subscription.name, 'delivered', COUNT);
  expect(idsOf(receiver.requests).toSorted()).toEqual(deliveries.map(({ id }) => id).toSorted());
  for (const { status } of await untilBatchesEnded(forgeflow, subscription.name)) expect(status.name).toBe('COMPLETED');
  second.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  await receiver.close();
});
