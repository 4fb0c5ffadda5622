import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CONTROL_TOPIC } from '../../src/bus/control.ts';
import { HEALTH_TOPIC } from '../../src/bus/health.ts';
import { deliverTo, untilClosed } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';
import { spawnWorker, startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

let environment: Environment;
let receiver: Receiver;
let workers: WorkerProcess[];
beforeAll(async () => {
  [environment, receiver] = await Promise.all([
    startEnvironment({ withoutWorkers: true, timeoutMs: 10_000 }),
    startReceiver(),
  ]);
  workers = await Promise.all([1, 2].map(() => startWorkerProcess(environment.variables)));
});
afterAll(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.map(({ ended }) => ended));
  await environment.stop();
  await receiver.close();
});

const endOf = (worker: WorkerProcess, withinMs: number) => Promise.race([worker.ended, sleep(withinMs, 'at work')]);
const endsOf = (withinMs: number) => Promise.all(workers.map((worker) => endOf(worker, withinMs)));

async function orderByPlainSql(payload: string): Promise<void> {
  await sql`insert into events (topic, payload) values (${CONTROL_TOPIC}, ${payload})`.execute(environment.database.db);
}

async function health(): Promise<{ worker: string; time: string }[]> {
  const { db } = environment.database;
  const rows = await db.selectFrom('events').select('payload').where('topic', '=', HEALTH_TOPIC).execute();
  return rows.map(({ payload }) => JSON.parse(payload) as { worker: string; time: string });
}

test('E9 each worker says on the bus that it is at work, with its name and the time', async () => {
  const said = await eventually(async () => {
    const all = await health();
    if (all.length < workers.length) throw new Error(`${all.length} workers have said so`);
    return all;
  });
  expect(said.map(({ worker }) => worker.split('@')[0]).sort()).toEqual(workers.map(({ pid }) => `${pid}`).sort());
  for (const { time } of said) expect(Math.abs(Date.now() - Date.parse(time))).toBeLessThan(30_000);
});

test('E9 other actions, and what is no order at all, are ignored', async () => {
  const ignored = [
    '{"action":"pause"}',
    '{"action":null}',
    '{"action":["stop"]}',
    '{"Action":"stop"}',
    '"stop"',
    'null',
  ];
  for (const payload of [...ignored, `{"action":"go","why":"${'x'.repeat(5_000)}"}`]) await orderByPlainSql(payload);
  expect(await endsOf(1_500)).toEqual(['at work', 'at work']);
});

test('E9 {"action":"stop"} ends all workers in order: what is in flight is finished, exit 0', async () => {
  const { forgeflow } = environment;
  receiver.answerWith({ delayMs: 1_500 });
  const delivery = await deliverTo(forgeflow, receiver.url);
  await receiver.waitForRequests(1);
  await forgeflow.publish({ topic: CONTROL_TOPIC, data: { action: 'stop' } });
  expect(await endsOf(15_000)).toEqual([0, 0]);
  expect(await forgeflow.deliveries.show(delivery.id)).toMatchObject({ state: 'delivered', attemptCount: 1 });
  expect(receiver.requests.length).toBe(1);
});

test('E9 a worker that starts later is not meant by it, also when it listens anew', async () => {
  const { forgeflow, variables, database } = environment;
  receiver.answerWith(200);
  const later = await startWorkerProcess(variables);
  workers = [later];
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'forgeflow relay'`.execute(
    database.db,
  );
  expect(await untilClosed(await deliverTo(forgeflow, receiver.url))).toBe('COMPLETED');
  expect(await endOf(later, 2_000)).toBe('at work');
});

test('E9 a stop that is longer than a notification is obeyed', async () => {
  await orderByPlainSql(`{"why":"${'ü'.repeat(5_000)}","action":"stop"}`);
  expect(await endsOf(15_000)).toEqual([0]);
});

test('E9 SIGTERM while a worker still starts, or waits for Temporal to start: exit 0', async () => {
  const waiting = spawnWorker({ ...environment.variables, TEMPORAL_ADDRESS: '127.0.0.1:1' });
  const comingUp = spawnWorker(environment.variables);
  workers.push(waiting, comingUp);
  await eventually(() => {
    if (!waiting.log().includes('idle until its services answer')) throw new Error(waiting.log());
    return Promise.resolve();
  });
  waiting.kill('SIGTERM');
  comingUp.kill('SIGTERM');
  expect(await Promise.all([endOf(waiting, 20_000), endOf(comingUp, 20_000)])).toEqual([0, 0]);
});
