import { afterAll, beforeAll, expect, test } from 'vitest';
import { deliverTo, deliveryOf, subscribe, untilClosed, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { startReceiver } from '../support/receiver.ts';
import { startWorkerProcess } from '../support/worker-process.ts';

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true, timeoutMs: 10_000 });
});
afterAll(() => environment.stop());

test('E9 SIGTERM: the attempt in flight ends and is written down, nothing new is taken, and another worker goes on', async () => {
  const { forgeflow, variables } = environment;
  const receiver = await startReceiver({ answer: { delayMs: 2_000 } });
  const first = await startWorkerProcess(variables);
  const delivery = await deliverTo(forgeflow, receiver.url);
  await receiver.waitForRequests(1);
  first.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const { name } = await subscribe(forgeflow, receiver.url);
  const { eventId } = await forgeflow.publish({ topic: name, data: 'later' });
  expect(await first.ended).toBe(0);

  expect(await forgeflow.deliveries.show(delivery.id)).toMatchObject({ state: 'delivered', attemptCount: 1 });
  expect(receiver.requests.length).toBe(1);
  expect(await forgeflow.deliveries.list({ subscription: name, state: 'delivered' })).toEqual([]);

  receiver.answerWith(200);
  const second = await startWorkerProcess(variables);
  const later = await deliveryOf(forgeflow, eventId, name);
  await untilDelivery(forgeflow, later.id, ({ state }) => state === 'delivered');
  expect(await untilClosed(delivery)).toBe('COMPLETED');
  expect(receiver.requests.map(({ headers }) => headers['webhook-id'])).toEqual([delivery.id, later.id]);
  second.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  await receiver.close();
});
