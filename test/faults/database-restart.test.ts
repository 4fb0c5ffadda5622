import { afterAll, beforeAll, expect, test } from 'vitest';
import { deliverTo, untilClosed, untilDelivery } from '../support/deliveries.ts';
import { type DatabaseServer, startDatabaseServer } from '../support/database-server.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { startReceiver } from '../support/receiver.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

let server: DatabaseServer;
let environment: Environment;
let worker: WorkerProcess;
beforeAll(async () => {
  server = await startDatabaseServer();
  environment = await startEnvironment({ withoutWorkers: true, databaseUrl: server.url, timeoutMs: 10_000 });
  worker = await startWorkerProcess(environment.variables);
});
afterAll(async () => {
  worker.kill('SIGKILL');
  await worker.ended;
  await environment.stop();
  await server.remove();
});

test.each([500, 200])(
  'Postgres restarts in the middle of an attempt that is answered %i: one request',
  async (answer) => {
    const { forgeflow } = environment;
    let foundInDatabase = (): void => undefined;
    const known = new Promise<void>((resolve) => (foundInDatabase = resolve));
    const receiver = await startReceiver({
      answer: async () => {
        await known; // or the request, which may be there first, takes the database from under whoever asks for it
        await server.stop();
        return answer;
      },
    });
    const delivery = await deliverTo(forgeflow, receiver.url);
    foundInDatabase();
    await receiver.waitForRequests(1);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await server.start();

    const shown = await untilDelivery(forgeflow, delivery.id, ({ attemptCount }) => attemptCount === 1);
    expect(shown.attempts.map(({ number, statusCode }) => [number, statusCode])).toEqual([[1, answer]]);
    expect(receiver.requests.length).toBe(1);
    if (answer !== 200) {
      receiver.answerWith(200);
      await forgeflow.deliveries.retry(delivery.id);
    }
    expect(await untilClosed(delivery)).toBe('COMPLETED');
    expect(receiver.requests.length).toBe(answer === 200 ? 1 : 2);
    await receiver.close();
  },
);
