import { afterAll, beforeAll, expect, test } from 'vitest';
import { deliverTo, untilClosed } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { startReceiver } from '../support/receiver.ts';
import { startWorkerProcess } from '../support/worker-process.ts';

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true, timeoutMs: 10_000 });
});
afterAll(() => environment.stop());

test('SIGTERM: the attempt in flight ends and is written down, nothing new is taken, and another worker goes on', async () => {
  const { forgeflow, variables } = environment;
  const receiver = await startReceiver({ answer: { delayMs: 2_000 } });
  const first = await startWorkerProcess(variables);
  const delivery = await deliverTo(forgeflow, receiver.url);
  await receiver.waitForRequests(1);
  first.kill('SIGTERM');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const later = await deliverTo(forgeflow, receiver.url);
  expect(await first.ended).toBe(0);

  expect(await forgeflow.deliveries.show(delivery.id)).toMatchObject({ state: 'delivered', attemptCount: 1 });
  expect(receiver.requests.length).toBe(1);
  expect(await forgeflow.deliveries.show(later.id)).toMatchObject({ pending: true, attemptCount: 0 });

  receiver.answerWith(200);
  const second = await startWorkerProcess(variables);
  expect([await untilClosed(delivery), await untilClosed(later)]).toEqual(['COMPLETED', 'COMPLETED']);
  expect(receiver.requests.map(({ headers }) => headers['webhook-id'])).toEqual([delivery.id, later.id]);
  second.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  await receiver.close();
});
