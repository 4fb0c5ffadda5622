import { afterAll, beforeAll, expect, test } from 'vitest';
import { fastForward } from '../../src/dev/fast-forward.ts';
import { deliverTo, sleepingDelivery, type StartedDelivery, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { type Receiver, startReceiver, verify } from '../support/receiver.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

/** Silence of 10 s tells Temporal that an attempt's worker is dead, and as much that a workflow's is. */
const TAKEOVER_MS = 40_000;

let environment: Environment;
/** Holds the first request of every delivery for ever, and answers those after it. */
let receiver: Receiver;
let second: WorkerProcess;
let inFlight: StartedDelivery;
let asleep: StartedDelivery;
let asleepToo: StartedDelivery;

const requestsOf = ({ id }: StartedDelivery) => receiver.requests.filter(({ headers }) => headers['webhook-id'] === id);

beforeAll(async () => {
  [environment, receiver] = await Promise.all([
    startEnvironment({ withoutWorkers: true, timeoutMs: 30_000 }),
    startReceiver(),
  ]);
  const { forgeflow, variables } = environment;
  const first = await startWorkerProcess(variables);
  [asleep, asleepToo] = await Promise.all([sleepingDelivery(forgeflow), sleepingDelivery(forgeflow)]);
  for (const { subscription } of [asleep, asleepToo]) {
    await forgeflow.subscriptions.update(subscription.name, { url: receiver.url });
  }
  receiver.answerWith('never');
  inFlight = await deliverTo(forgeflow, receiver.url);
  await receiver.waitForRequests(1);
  receiver.answerWith(200);
  second = await startWorkerProcess(variables); // it got nothing of what was under way
  expect(receiver.requests.length).toBe(1);
  first.kill('SIGKILL');
  expect(await first.ended).toBe('SIGKILL');
});
afterAll(async () => {
  second.kill('SIGKILL');
  await second.ended;
  await environment.stop();
  await receiver.close();
});

test('SIGKILL in the middle of an attempt: another worker makes it again, as the same attempt of the same webhook-id', async () => {
  const { forgeflow } = environment;
  const delivery = await untilDelivery(forgeflow, inFlight.id, ({ pending }) => !pending, TAKEOVER_MS);
  expect(delivery).toMatchObject({ state: 'delivered', attemptCount: 1 });
  expect(delivery.attempts.map(({ number, statusCode }) => [number, statusCode])).toEqual([[1, 200]]);
  const requests = requestsOf(inFlight);
  expect(requests.map(({ headers }) => headers['x-forgeflow-attempt'])).toEqual(['1', '1']);
  for (const request of requests) expect(verify(request, inFlight.subscription.secret)).toEqual({ hello: 'world' });
  expect(await inFlight.handle.result()).toMatchObject({ state: 'delivered', attemptCount: 1 });
});

test('SIGKILL in the middle of a sleep: the sleep ends elsewhere, at its time', async () => {
  const { forgeflow } = environment;
  await fastForward(forgeflow.temporal, asleep.handle.workflowId, 6 * 60_000);
  expect(await asleep.handle.result()).toMatchObject({ state: 'delivered', attemptCount: 2 });
  expect(requestsOf(asleep).length).toBe(1);
});

test('SIGKILL in the middle of a sleep: a retry by hand is made elsewhere', async () => {
  const { forgeflow } = environment;
  await forgeflow.deliveries.retry(asleepToo.id);
  expect(await asleepToo.handle.result()).toMatchObject({ state: 'delivered', attemptCount: 2 });
  expect(requestsOf(asleepToo).length).toBe(1);
});
