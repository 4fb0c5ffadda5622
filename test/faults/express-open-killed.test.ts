import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SubscriptionWithSecret } from '../../src/index.ts';
import type { StartedDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import {
  deliveriesOf,
  hasOwnWorkflow,
  publishNumbers,
  subscribeExpress,
  untilBatchesEnded,
  untilCount,
} from '../support/express.ts';
import { type HoldingReceiver, idsOf, startHoldingReceiver } from '../support/holding-receiver.ts';
import { type Receiver, startReceiver, verify } from '../support/receiver.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

/** Silence of 10 s tells Temporal that a batch's worker is dead, and as much that a workflow's is. */
const TAKEOVER_MS = 40_000;
const GRACE_MS = 15_000;

let environment: Environment;
const workers: WorkerProcess[] = [];
beforeAll(async () => {
  environment = await startEnvironment({
    withoutWorkers: true,
    timeoutMs: 30_000,
    settings: { EGRESS_CONCURRENCY: '40', EGRESS_CONCURRENCY_PER_SUBSCRIPTION: '30' },
  });
});
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.map(({ ended }) => ended));
  await environment.stop();
});

async function startWorker(): Promise<WorkerProcess> {
  const worker = await startWorkerProcess(environment.variables);
  workers.push(worker);
  return worker;
}

/** The batches that deliveries of a subscription, which are not over, are in. */
async function batchesWith({ id }: SubscriptionWithSecret): Promise<(string | null)[]> {
  const rows = await environment.database.db
    .selectFrom('deliveries')
    .select('carrier')
    .distinct()
    .where('subscription_id', '=', id)
    .where('state', '=', 'pending')
    .execute();
  return rows.map(({ carrier }) => carrier);
}

function countsOf({ requests }: Receiver): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of idsOf(requests)) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

async function expectOneAttempt(deliveries: { id: string }[]): Promise<void> {
  for (const { id } of deliveries) {
    const { attempts, attemptCount } = await environment.forgeflow.deliveries.show(id);
    expect([attemptCount, attempts.map(({ number, statusCode }) => [number, statusCode])]).toEqual([1, [[1, 200]]]);
  }
}

describe('SIGKILL of a worker with an open batch, to which most of its deliveries were handed in memory', () => {
  const HANDED = 20;
  const isHeld = (number: number): boolean => number % 2 === 0;

  let first: WorkerProcess;
  let second: WorkerProcess;
  let receiver: HoldingReceiver;
  let subscription: SubscriptionWithSecret;
  let deliveries: StartedDelivery[];
  /** What had been delivered, and written down, when the worker was killed. */
  let recorded: string[];

  beforeAll(async () => {
    const { forgeflow } = environment;
    first = await startWorker();
    receiver = await startHoldingReceiver(({ rawBody }) => !isHeld(Number(rawBody.toString())));
    subscription = await subscribeExpress(environment, receiver.url);
    const [begun] = await publishNumbers(environment, subscription, 1);
    await receiver.waitForRequests(1);
    const batches = await batchesWith(subscription);
    deliveries = [begun!, ...(await publishNumbers(environment, subscription, HANDED))];
    await receiver.waitForRequests(1 + HANDED);
    expect(batches.length).toBe(1);
    expect(await batchesWith(subscription)).toEqual(batches);
    await untilCount(forgeflow, subscription.name, 'delivered', HANDED / 2);
    recorded = (await deliveriesOf(forgeflow, subscription.name))
      .filter(({ state }) => state === 'delivered')
      .map(({ id }) => id);
    second = await startWorker();
    expect(receiver.requests.length).toBe(deliveries.length);
    first.kill('SIGKILL');
    expect(await first.ended).toBe('SIGKILL');
    receiver.letGo(200);
  });
  afterAll(async () => {
    second.kill('SIGTERM');
    expect(await second.ended).toBe(0);
    await receiver.close();
  });

  test('E14: another worker makes the attempts that were not recorded, under the same webhook-id, and no other', async () => {
    const { forgeflow } = environment;
    await untilCount(forgeflow, subscription.name, 'delivered', deliveries.length, TAKEOVER_MS);
    expect(countsOf(receiver)).toEqual(new Map(deliveries.map(({ id }) => [id, recorded.includes(id) ? 1 : 2])));
    for (const request of receiver.requests) {
      verify(request, subscription.secret);
      expect(request.headers['x-forgeflow-attempt']).toBe('1');
    }
    await expectOneAttempt(deliveries);
    for (const delivery of deliveries) expect(await hasOwnWorkflow(delivery)).toBe(false);
    for (const { status } of await untilBatchesEnded(forgeflow, subscription.name))
      expect(status.name).toBe('COMPLETED');
  });

  test('E14: and goes on with batches that come later', async () => {
    const { forgeflow } = environment;
    await publishNumbers(environment, subscription, 20);
    await untilCount(forgeflow, subscription.name, 'delivered', deliveries.length + 20);
  });
});

describe('SIGTERM while a stream of events goes out with open batches', () => {
  test.each([
    ['the events wait for another worker', false],
    ['another worker goes on with it', true],
  ])('E14 E9: the worker ends in time, %s, none is lost, and none comes twice', async (_what, isBeside) => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: { delayMs: 30 } });
    const subscription = await subscribeExpress(environment, receiver.url);
    const first = await startWorker();
    const over = new AbortController();
    const publish = async (): Promise<string[]> => {
      for (const ids: string[] = []; ;) {
        if (over.signal.aborted) return ids;
        ids.push((await forgeflow.publish({ topic: subscription.name, data: ids.length })).eventId);
        await sleep(10);
      }
    };
    const publishing = publish();
    await receiver.waitForRequests(40);
    const beside = isBeside ? await startWorker() : undefined;
    const before = receiver.requests.length;
    await receiver.waitForRequests(before + 20);
    const askedAt = Date.now();
    first.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    expect(Date.now() - askedAt).toBeLessThan(GRACE_MS);
    const second = beside ?? (await startWorker());
    await receiver.waitForRequests(receiver.requests.length + 40);
    over.abort();
    const eventIds = await publishing;

    await untilCount(forgeflow, subscription.name, 'delivered', eventIds.length, TAKEOVER_MS);
    const deliveries = await deliveriesOf(forgeflow, subscription.name);
    expect(deliveries.map(({ eventId }) => eventId).toSorted()).toEqual(eventIds.toSorted());
    expect(countsOf(receiver)).toEqual(new Map(deliveries.map(({ id }) => [id, 1])));
    await expectOneAttempt(deliveries);
    for (const { status } of await untilBatchesEnded(forgeflow, subscription.name))
      expect(status.name).toBe('COMPLETED');
    second.kill('SIGTERM');
    expect(await second.ended).toBe(0);
    await receiver.close();
  });
});
