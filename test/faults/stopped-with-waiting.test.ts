import { afterAll, beforeAll, expect, test } from 'vitest';
import { publishTo, subscribe, untilClosed } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { startReceiver } from '../support/receiver.ts';
import { startWorkerProcess } from '../support/worker-process.ts';

const ANSWER_MS = 1_500;
const GRACE_MS = 15_000;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    withoutWorkers: true,
    timeoutMs: 10_000,
    settings: { EGRESS_CONCURRENCY: '2', EGRESS_CONCURRENCY_PER_SUBSCRIPTION: '1' },
  });
});
afterAll(() => environment.stop());

test('E5 E9 SIGTERM with attempts in flight and others that wait for their place: those end, these are put back for another worker', async () => {
  const { forgeflow, variables, database } = environment;
  const receiver = await startReceiver({ answer: { delayMs: ANSWER_MS } });
  const first = await startWorkerProcess(variables);
  const subscriptions = await Promise.all([1, 2, 3].map(() => subscribe(forgeflow, receiver.url)));
  const deliveries = await Promise.all(
    subscriptions.flatMap((subscription) => [1, 2, 3, 4].map(() => publishTo(forgeflow, subscription))),
  );
  await receiver.waitForRequests(2);
  await eventually(async () => {
    const rows = await database.db.selectFrom('deliveries').select('started_at').execute();
    if (rows.some(({ started_at }) => started_at === null)) throw new Error('not all have been started');
  });
  const askedAt = Date.now();
  first.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  expect(Date.now() - askedAt).toBeLessThan(GRACE_MS);

  const sent = receiver.requests.length;
  expect(sent).toBeLessThan(deliveries.length);
  const shown = await Promise.all(deliveries.map(({ id }) => forgeflow.deliveries.show(id)));
  expect(shown.filter(({ state, attemptCount }) => state === 'delivered' && attemptCount === 1).length).toBe(sent);
  expect(shown.filter(({ pending, attemptCount }) => pending && attemptCount === 0).length).toBe(12 - sent);

  receiver.answerWith(200);
  const second = await startWorkerProcess(variables);
  for (const delivery of deliveries) expect(await untilClosed(delivery)).toBe('COMPLETED');
  const ids = receiver.requests.map(({ headers }) => headers['webhook-id']);
  expect(ids.toSorted()).toEqual(deliveries.map(({ id }) => id).toSorted());
  second.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  await receiver.close();
});
