import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SubscriptionWithSecret } from '../../src/index.ts';
import type { StartedDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { deliveriesOf, hasOwnWorkflow, publishNumbers, subscribeExpress, untilCount } from '../support/express.ts';
import { type HoldingReceiver, idsOf, startHoldingReceiver } from '../support/holding-receiver.ts';
import { verify } from '../support/receiver.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

/** Silence of 10 s tells Temporal that a batch's worker is dead, and as much that a workflow's is. */
const TAKEOVER_MS = 40_000;
const COUNT = 60;
const HELD_EVERY = 10;

let environment: Environment;
/** Answers all but every tenth at once. */
let receiver: HoldingReceiver;
let second: WorkerProcess | undefined;
let subscription: SubscriptionWithSecret;
let deliveries: StartedDelivery[];
/** What had been delivered, and written down, when the first worker was killed. */
let recorded: string[];

const isHeld = (number: number): boolean => number % HELD_EVERY === 0;

beforeAll(async () => {
  [environment, receiver] = await Promise.all([
    startEnvironment({
      withoutWorkers: true,
      timeoutMs: 30_000,
      settings: { EGRESS_CONCURRENCY: '20', EGRESS_CONCURRENCY_PER_SUBSCRIPTION: '10' },
    }),
    startHoldingReceiver(({ rawBody }) => !isHeld(Number(rawBody.toString()))),
  ]);
  const { forgeflow, variables } = environment;
  const first = await startWorkerProcess(variables);
  subscription = await subscribeExpress(environment, receiver.url);
  deliveries = await publishNumbers(environment, subscription, COUNT);
  await receiver.waitForRequests(COUNT);
  await untilCount(forgeflow, subscription.name, 'delivered', COUNT - COUNT / HELD_EVERY);
  recorded = (await deliveriesOf(forgeflow, subscription.name))
    .filter(({ state }) => state === 'delivered')
    .map(({ id }) => id);
  second = await startWorkerProcess(variables);
  expect(receiver.requests.length).toBe(COUNT);
  first.kill('SIGKILL');
  expect(await first.ended).toBe('SIGKILL');
  receiver.letGo(200);
});
afterAll(async () => {
  second?.kill('SIGKILL');
  await second?.ended;
  await environment.stop();
  await receiver.close();
});

test('E14: SIGKILL in mid-batch: another worker makes the attempts that were not recorded, under the same webhook-id, and no other', async () => {
  const { forgeflow } = environment;
  await untilCount(forgeflow, subscription.name, 'delivered', COUNT, TAKEOVER_MS);
  const counts = new Map<string, number>();
  for (const id of idsOf(receiver.requests)) counts.set(id, (counts.get(id) ?? 0) + 1);
  expect(counts).toEqual(new Map(deliveries.map(({ id }) => [id, recorded.includes(id) ? 1 : 2])));
  for (const request of receiver.requests) {
    verify(request, subscription.secret);
    expect(request.headers['x-forgeflow-attempt']).toBe('1');
  }
  for (const { id } of deliveries) {
    const { attempts, attemptCount } = await forgeflow.deliveries.show(id);
    expect([attemptCount, attempts.map(({ number, statusCode }) => [number, statusCode])]).toEqual([1, [[1, 200]]]);
  }
  expect(await hasOwnWorkflow(deliveries[0]!)).toBe(false);
});

test('E14: and goes on with batches that come later', async () => {
  const { forgeflow } = environment;
  await publishNumbers(environment, subscription, 20);
  await untilCount(forgeflow, subscription.name, 'delivered', COUNT + 20);
});
