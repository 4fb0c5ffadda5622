import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DatabaseServer, startDatabaseServer } from '../support/database-server.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { deliveriesOf, publishNumbers, subscribeExpress, untilContinued, untilCount } from '../support/express.ts';
import { idsOf, startHoldingReceiver } from '../support/holding-receiver.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const COUNT = 40;

let server: DatabaseServer;
let environment: Environment;
let worker: WorkerProcess;
beforeAll(async () => {
  server = await startDatabaseServer();
  environment = await startEnvironment({
    withoutWorkers: true,
    databaseUrl: server.url,
    timeoutMs: 10_000,
    settings: { BREAKER_FAILURES: '1000', EGRESS_CONCURRENCY: '40', EGRESS_CONCURRENCY_PER_SUBSCRIPTION: '30' },
  });
  worker = await startWorkerProcess(environment.variables);
});
afterAll(async () => {
  worker.kill('SIGKILL');
  await worker.ended;
  await environment.stop();
  await server.remove();
});

test.each([200, 500])(
  'E14: Postgres restarts in mid-batch, whose last attempts are answered %i meanwhile: one request each',
  async (answer) => {
    const { forgeflow } = environment;
    const receiver = await startHoldingReceiver(({ rawBody }) => Number(rawBody.toString()) % 2 === 0);
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, COUNT);
    await receiver.waitForRequests(COUNT);
    await untilCount(forgeflow, subscription.name, 'delivered', COUNT / 2);
    await server.stop();
    receiver.letGo(answer);
    await sleep(1_500);
    await server.start();

    const held = deliveries.filter((_delivery, number) => number % 2 === 1);
    if (answer === 200) await untilCount(forgeflow, subscription.name, 'delivered', COUNT);
    else await untilContinued(environment, held);
    expect(receiver.requests.length).toBe(COUNT);
    expect(new Set(idsOf(receiver.requests))).toEqual(new Set(deliveries.map(({ id }) => id)));
    for (const one of await deliveriesOf(forgeflow, subscription.name)) expect(one.attemptCount).toBe(1);
    if (answer === 500) {
      for (const { id } of held.slice(0, 3)) await forgeflow.deliveries.retry(id);
      await untilCount(forgeflow, subscription.name, 'pending', COUNT / 2); // the receiver still answers 500
      for (const { handle } of held) await handle.terminate();
    }
    await receiver.close();
  },
);
