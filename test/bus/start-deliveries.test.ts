import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dispatchBatch } from '../../src/bus/dispatch-events.ts';
import { reviveStrays, startDeliveries } from '../../src/bus/start-deliveries.ts';
import { SubscriptionsCache } from '../../src/bus/subscriptions-cache.ts';
import { holdDelivery } from '../../src/database/admission.ts';
import { connectWorkers, type WorkerConnection } from '../../src/temporal/worker-connection.ts';
import { DEAD_URL, type DeliveryHandle, handleOf, subscribe } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventsOf } from '../support/history.ts';
import { deliveryRow } from '../support/records.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const MINUTE = 60_000;

let environment: Environment;
let temporal: WorkerConnection;
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true });
  temporal = await connectWorkers(environment.config);
});
afterAll(async () => {
  await temporal.connection.close();
  await environment.stop();
});

const log = recordingLogger();
const parts = () => ({
  db: environment.database.db,
  temporal: temporal.client,
  logger: log.logger,
  expressBacklog: 100,
});

/** Deliveries that wait for a relay, to a subscription of their own. */
async function waiting(count: number): Promise<{ subscriptionId: string; ids: string[] }> {
  const { forgeflow, database } = environment;
  const { id: subscriptionId, name } = await subscribe(forgeflow, `${DEAD_URL}?token=secret`);
  for (let n = 0; n < count; n++) await forgeflow.publish({ topic: name, data: n });
  const cache = new SubscriptionsCache(log.logger);
  while ((await dispatchBatch(database.db, cache)) > 0);
  const ids = (await forgeflow.deliveries.list({ subscription: name, limit: 1_000 })).map(({ id }) => id);
  expect(ids.length).toBe(count);
  return { subscriptionId, ids };
}

const handle = (id: string): DeliveryHandle => handleOf(environment.forgeflow, id);
const startedAt = async (id: string) => (await deliveryRow(environment.database.db, id)).started_at;
const isThere = async (id: string) =>
  handle(id)
    .describe()
    .then(
      () => true,
      () => false,
    );
const signalsOf = async (id: string) =>
  (await eventsOf(handle(id))).filter((event) => event.workflowExecutionSignaledEventAttributes).length;

async function startAll(): Promise<number> {
  let all = 0;
  for (;;) {
    const { started } = await startDeliveries(parts());
    if (started === 0) return all;
    all += started;
  }
}

describe('starting', () => {
  test('E12: a workflow has its subscription as its fairness key, and tells the receiver’s host alone', async () => {
    const { subscriptionId, ids } = await waiting(1);
    await startAll();
    const { raw } = await handle(ids[0]!).describe();
    expect(raw.workflowExecutionInfo?.priority?.fairnessKey).toBe(subscriptionId);
    const summary = Buffer.from(raw.executionConfig?.userMetadata?.summary?.data ?? []).toString();
    expect(summary).toContain('(127.0.0.1:1)');
    expect(summary).not.toContain('secret');
    expect(await startedAt(ids[0]!)).toBeInstanceOf(Date);
  });

  test('E1: by several relays at once, each delivery is started once', async () => {
    const { ids } = await waiting(4);
    const started = await Promise.all([startAll(), startAll(), startAll()]);
    expect(started.reduce((a, b) => a + b)).toBe(4);
    for (const id of ids) expect([await isThere(id), await signalsOf(id)]).toEqual([true, 0]);
  });

  test('E10: one whose workflow is there, and was held back, is woken', async () => {
    const { ids } = await waiting(1);
    await startAll();
    const { runId } = await handle(ids[0]!).describe();
    await holdDelivery(environment.database.db, ids[0]!);
    expect(await startAll()).toBe(1);
    expect((await handle(ids[0]!).describe()).runId).toBe(runId);
    expect(await signalsOf(ids[0]!)).toBe(1);
  });

  test('E2: those that Temporal does not take wait again, and whoever asked hears of it', async () => {
    const { ids } = await waiting(3);
    const failing = temporal.client.withDeadline(Date.now() - 1_000, () => startDeliveries(parts()));
    await expect(failing).rejects.toMatchObject({ name: 'ServiceError' });
    for (const id of ids) expect(await startedAt(id)).toBeNull();
    expect(await startAll()).toBe(3);
    for (const id of ids) expect(await isThere(id)).toBe(true);
  });
});

describe('strays', () => {
  async function setStartedAt(id: string, ago: number): Promise<void> {
    await environment.database.db
      .updateTable('deliveries')
      .set({ started_at: new Date(Date.now() - ago) })
      .where('id', '=', id)
      .execute();
  }

  test('E2: a delivery that was admitted by a relay that died before it started the workflow is started after its time', async () => {
    const { ids } = await waiting(2);
    const [stray, young] = ids;
    await setStartedAt(stray!, 4 * MINUTE);
    await setStartedAt(young!, 0);
    await reviveStrays(parts());
    expect([await isThere(stray!), await isThere(young!)]).toEqual([true, false]);
    expect(await signalsOf(stray!)).toBe(0);
    expect(Date.now() - (await startedAt(stray!))!.getTime()).toBeLessThan(MINUTE);
  });

  test('E2: one that has something to do already is left alone', async () => {
    const { ids } = await waiting(1);
    await startAll();
    await setStartedAt(ids[0]!, 4 * MINUTE);
    const before = (await eventsOf(handle(ids[0]!))).length;
    await reviveStrays(parts());
    expect((await eventsOf(handle(ids[0]!))).length).toBe(before);
  });

  test('E2: those that Temporal does not take wait for the next relay', async () => {
    const { ids } = await waiting(1);
    await setStartedAt(ids[0]!, 4 * MINUTE);
    const failing = temporal.client.withDeadline(Date.now() - 1_000, () => reviveStrays(parts()));
    await expect(failing).rejects.toMatchObject({ name: 'ServiceError' });
    expect(await startedAt(ids[0]!)).toBeNull();
    await startAll();
    expect(await isThere(ids[0]!)).toBe(true);
  });
});
