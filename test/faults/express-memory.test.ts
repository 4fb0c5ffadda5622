import { readFileSync } from 'node:fs';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { publishNumbers, subscribeExpress, untilBatchesEnded, untilCount } from '../support/express.ts';
import { startReceiver } from '../support/receiver.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const MEBIBYTE = 1024 * 1024;
const COUNT = 200;
/** In MiB. A batch that was read as a whole would take a hundred of them, several times over. */
const MOST_MORE = 250;
/** In MiB. A batch that was read as a whole would take a hundred of them, several times over. */

let environment: Environment;
let worker: WorkerProcess;
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true, timeoutMs: 20_000 });
  worker = await startWorkerProcess(environment.variables);
});
afterAll(async () => {
  worker.kill('SIGKILL');
  await worker.ended;
  await environment.stop();
});

/** The most memory that the worker had so far, in bytes. */
function peak(): number {
  const [, kibibytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${worker.pid}/status`, 'utf8')) ?? [];
  return Number(kibibytes) * 1024;
}

test('E14: two hundred payloads of 1 MiB go through batches in little memory', async () => {
  const { forgeflow, database } = environment;
  const sizes: number[] = [];
  const receiver = await startReceiver({
    answer: (request) => {
      sizes.push(request.rawBody.length);
      request.rawBody = Buffer.alloc(0); // they would all be kept here
      return 200;
    },
  });
  const subscription = await subscribeExpress(environment, receiver.url);
  await publishNumbers(environment, subscription, 200);
  await untilCount(forgeflow, subscription.name, 'delivered', 200);
  sizes.length = 0;
  const before = peak();
  await sql`
    insert into events (topic, payload)
    select ${subscription.name}, '"' || repeat('x', ${MEBIBYTE - 2}::int) || '"' from generate_series(1, ${COUNT}::int)
  `.execute(database.db);
  await untilCount(forgeflow, subscription.name, 'delivered', 200 + COUNT, 60_000);
  const more = (peak() - before) / MEBIBYTE;
  expect(sizes).toEqual(Array.from({ length: COUNT }, () => MEBIBYTE));
  const batches = await untilBatchesEnded(forgeflow, subscription.name);
  expect(batches.length).toBeLessThan(20);
  expect(more).toBeLessThan(MOST_MORE);
  await receiver.close();
});
