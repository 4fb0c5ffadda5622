import { randomUUID } from 'node:crypto';
import { Client } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { dispatchBatch } from '../../src/bus/dispatch-events.ts';
import { continueDeliveries, reviveStrays, startDeliveries } from '../../src/bus/start-deliveries.ts';
import { SubscriptionsCache } from '../../src/bus/subscriptions-cache.ts';
import { holdDelivery } from '../../src/database/admission.ts';
import { endDelivery } from '../../src/database/deliveries.ts';
import { deliveriesToContinue, loadBatch, recordFirstAttempts } from '../../src/database/first-attempts.ts';
import { judgeAttempt } from '../../src/domain/delivery.ts';
import { firstAttemptsWorkflowId } from '../../src/domain/first-attempts.ts';
import type { Lane } from '../../src/domain/lane.ts';
import { type Handed, OpenBatches } from '../../src/egress/open-batches.ts';
import { connectWorkers, type WorkerConnection } from '../../src/temporal/worker-connection.ts';
import { DEAD_URL, type DeliveryHandle, handleOf, subscribe } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventsOf, historyText } from '../support/history.ts';
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
  openBatches: new OpenBatches(),
});

/** Deliveries that wait for a relay, to a subscription of their own. */
async function waiting(
  count: number,
  lane: Lane = 'workflow',
): Promise<{ subscriptionId: string; name: string; ids: string[] }> {
  const { forgeflow, database } = environment;
  const { id: subscriptionId, name } = await subscribe(forgeflow, `${DEAD_URL}?token=secret`, { lane });
  for (let n = 0; n < count; n++) await forgeflow.publish({ topic: name, data: n });
  const cache = new SubscriptionsCache(log.logger);
  while ((await dispatchBatch(database.db, cache)).events > 0);
  const ids = (await forgeflow.deliveries.list({ subscription: name, limit: 1_000 })).map(({ id }) => id);
  expect(ids.length).toBe(count);
  return { subscriptionId, name, ids };
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

/** The batch that a delivery went out with, and its workflow. */
async function batchOf(id: string) {
  const { carrier } = await deliveryRow(environment.database.db, id);
  const workflow = environment.forgeflow.temporal.workflow.getHandle(firstAttemptsWorkflowId(carrier ?? ''));
  return { id: carrier, workflow };
}

describe('the express lane', () => {
  test('E14: deliveries go out together, in a workflow that says of whom they are and how many, and nothing secret', async () => {
    const { subscriptionId, name, ids } = await waiting(3, 'express');
    expect(await startAll()).toBe(3);
    const { id: batchId, workflow } = await batchOf(ids[0]!);
    for (const id of ids) {
      expect(await batchOf(id)).toMatchObject({ id: batchId });
      expect([await isThere(id), await startedAt(id)]).toEqual([false, expect.any(Date)]);
    }
    const { type, status, raw, typedSearchAttributes } = await workflow.describe();
    expect([type, status.name]).toEqual(['deliverFirstAttempts', 'RUNNING']);
    expect(raw.workflowExecutionInfo?.priority?.fairnessKey).toBe(subscriptionId);
    const summary = JSON.parse(
      Buffer.from(raw.executionConfig?.userMetadata?.summary?.data ?? []).toString(),
    ) as string;
    expect(summary).toBe(`up to 100 at once → ${name}`);
    expect(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value])).toEqual([
      ['forgeflowSubscriptions', [name]],
    ]);
    const text = await historyText(workflow);
    for (const id of ids) expect(text).toContain(id);
    expect(text).not.toContain('secret');
    expect(text).not.toContain('127.0.0.1');
  });

  test('E14: one batch may have many subscriptions; they are named, as many as there is room for', async () => {
    const { forgeflow, database } = environment;
    const topic = `many${Date.now()}`;
    const names = Array.from({ length: 30 }, (_, n) => `${'ü'.repeat(60)} ${10 + n}`);
    for (const name of names)
      await forgeflow.subscriptions.add({ name, url: DEAD_URL, patterns: [topic], lane: 'express' });
    await forgeflow.publish({ topic, data: 1 });
    const cache = new SubscriptionsCache(log.logger);
    while ((await dispatchBatch(database.db, cache)).events > 0);
    expect(await startAll()).toBe(30);
    const ids = (await forgeflow.deliveries.list({ topic })).map(({ id }) => id);
    const batchIds = new Set(await Promise.all(ids.map(async (id) => (await batchOf(id)).id)));
    expect(batchIds.size).toBe(1);
    const { raw, typedSearchAttributes } = await (await batchOf(ids[0]!)).workflow.describe();
    const summary = JSON.parse(
      Buffer.from(raw.executionConfig?.userMetadata?.summary?.data ?? []).toString(),
    ) as string;
    expect(summary).toMatch(/^up to 100 at once → .* and 29 more$/);
    const indexed = typedSearchAttributes.getAll().flatMap(({ value }) => value as string[]);
    expect(indexed.length).toBe(12); // 1,500 bytes of them
    for (const name of indexed) expect(names).toContain(name);
  });

  test('E1, E14: by several relays at once, each delivery goes out with one batch', async () => {
    const { ids } = await waiting(4, 'express');
    const started = await Promise.all([startAll(), startAll(), startAll()]);
    expect(started.reduce((a, b) => a + b)).toBe(4);
    for (const id of ids) {
      const { workflow } = await batchOf(id);
      expect((await workflow.describe()).status.name).toBe('RUNNING');
    }
  });

  test('E14: in lane auto they are started by the backlog that is given', async () => {
    const [few, many] = [await waiting(2, 'auto'), await waiting(4, 'auto')];
    const { started } = await startDeliveries({ ...parts(), expressBacklog: 3 });
    expect(started).toBe(6);
    for (const id of few.ids) expect([await isThere(id), (await batchOf(id)).id]).toEqual([true, id]);
    for (const id of many.ids) expect([await isThere(id), (await batchOf(id)).id === id]).toEqual([false, false]);
  });

  test('E2, E14: batches that Temporal does not take wait again, and whoever asked hears of it', async () => {
    const { ids } = await waiting(3, 'express');
    const failing = temporal.client.withDeadline(Date.now() - 1_000, () => startDeliveries(parts()));
    await expect(failing).rejects.toMatchObject({ name: 'ServiceError' });
    for (const id of ids) expect(await startedAt(id)).toBeNull();
    expect(await startAll()).toBe(3);
    for (const id of ids) expect((await (await batchOf(id)).workflow.describe()).status.name).toBe('RUNNING');
  });

  test('E14: a delivery that was queued again goes by batch, while another’s workflow is woken', async () => {
    const { ids } = await waiting(2);
    await startAll();
    const [held, again] = ids;
    const { db } = environment.database;
    await db.updateTable('subscriptions').set({ lane: 'express', last_success_at: new Date() }).execute();
    // As an attempt leaves one that it has ended.
    await db.updateTable('deliveries').set({ state: 'failed', carrier: null }).where('id', '=', again!).execute();
    await environment.forgeflow.deliveries.redeliver(again!);
    await holdDelivery(db, held!);
    expect(await startAll()).toBe(2);
    expect([await signalsOf(held!), (await batchOf(held!)).id]).toEqual([1, held]);
    expect((await (await batchOf(again!)).workflow.describe()).type).toBe('deliverFirstAttempts');
  });
});

describe('open batches', () => {
  // Nothing that another test left is to take their places.
  beforeEach(async () => {
    await startAll();
  });

  /** Deliveries that wait, to an express subscription that had a success and so has room for whole batches. */
  async function waitingExpress(count: number): Promise<{ name: string; ids: string[] }> {
    const { subscriptionId, name, ids } = await waiting(count, 'express');
    await environment.database.db
      .updateTable('subscriptions')
      .set({ last_success_at: new Date() })
      .where('id', '=', subscriptionId)
      .execute();
    return { name, ids };
  }

  /** One that is under way in this process, with so many places; it has something in hand, so it does not end soon. */
  function open(openBatches: OpenBatches, places: number): { id: string; handed: Handed[] } {
    const [id, handed] = [randomUUID(), [] as Handed[]];
    openBatches.open(id, 100 - places, (some) => handed.push(some));
    return { id, handed };
  }

  /** Its payload is one that is not read with others. */
  async function enlarge(id: string): Promise<void> {
    const { db } = environment.database;
    const payload = JSON.stringify('x'.repeat(10_000));
    const { event_id } = await deliveryRow(db, id);
    await db.updateTable('events').set({ payload }).where('id', '=', event_id).execute();
  }

  const idsOf = (handed: Handed[]) => handed.flatMap(({ deliveries }) => deliveries.map(({ id }) => id));
  const workflowOf = (batchId: string) =>
    environment.forgeflow.temporal.workflow.getHandle(firstAttemptsWorkflowId(batchId));
  const isBegun = (batchId: string) =>
    workflowOf(batchId)
      .describe()
      .then(
        () => true,
        () => false,
      );

  test('E14: those that wait go out with one, which is handed what it would read of them; no workflow is begun', async () => {
    const { db } = environment.database;
    const { name, ids } = await waitingExpress(3);
    await enlarge(ids[1]!);
    const openBatches = new OpenBatches();
    const { id, handed } = open(openBatches, 60);
    expect(await startDeliveries({ ...parts(), openBatches }, 3)).toEqual({
      started: 3,
      batches: 0,
      crowded: false,
      isShort: false,
    });
    expect(handed).toEqual([await loadBatch(db, id, ids)]);
    expect(handed[0]!.deliveries.map(({ topic, number }) => [topic, number])).toEqual(ids.map(() => [name, 1]));
    expect(idsOf(handed).toSorted()).toEqual(ids.toSorted());
    expect(handed[0]!.deliveries.find((one) => one.id === ids[1])?.payload).toBeNull();
    expect(handed[0]!.version).not.toBe('0');
    for (const one of ids) {
      expect([await isThere(one), await startedAt(one)]).toEqual([false, expect.any(Date)]);
      expect((await batchOf(one)).id).toBe(id);
    }
    expect([await isBegun(id), openBatches.free]).toEqual([false, 57]);
    openBatches.close();
  });

  test('E14: several of them are filled, the newest first, and each is handed its own', async () => {
    const { db } = environment.database;
    const { ids } = await waitingExpress(8);
    const openBatches = new OpenBatches();
    const [older, newer] = [open(openBatches, 5), open(openBatches, 6)];
    expect(await startDeliveries({ ...parts(), openBatches }, 8)).toMatchObject({ started: 8, batches: 0 });
    expect(idsOf(newer.handed).length).toBe(6);
    expect([...idsOf(newer.handed), ...idsOf(older.handed)].toSorted()).toEqual(ids.toSorted());
    for (const { id, handed } of [older, newer]) expect(handed).toEqual([await loadBatch(db, id)]);
    openBatches.close();
  });

  test('E14: the rest begins new ones, and only when there is no place any more', async () => {
    const { ids } = await waitingExpress(8);
    const openBatches = new OpenBatches();
    const { id, handed } = open(openBatches, 5);
    const dependencies = { ...parts(), openBatches };
    expect(await startDeliveries(dependencies, 8)).toMatchObject({ started: 5, batches: 0 });
    const rest = ids.filter((one) => !idsOf(handed).includes(one));
    expect(rest.length).toBe(3);
    for (const one of rest) expect(await startedAt(one)).toBeNull();

    expect(await startDeliveries(dependencies, 3)).toMatchObject({ started: 3, batches: 1 });
    const begun = await batchOf(rest[0]!);
    expect(begun.id).not.toBe(id);
    const { type, status } = await begun.workflow.describe();
    expect([type, status.name]).toEqual(['deliverFirstAttempts', 'RUNNING']);
    const text = await historyText(begun.workflow);
    for (const one of ids) expect(text.includes(one)).toBe(rest.includes(one));
    expect([idsOf(handed).length, await isBegun(id)]).toEqual([5, false]);
    openBatches.close();
  });

  test.each([
    ['none is', 0, 30],
    ['few are', 10, 30],
    ['many are', 40, 40],
    ['all are', 45, 45],
    ['no end is', Infinity, 45],
  ])('E14: of 45 that wait, where %s known of (%d), %d get some of 60 places', async (_what, known, count) => {
    await waitingExpress(45);
    const openBatches = new OpenBatches();
    const { handed } = open(openBatches, 60);
    const { started, batches } = await startDeliveries({ ...parts(), openBatches }, known);
    expect([started, batches, idsOf(handed).length, openBatches.free]).toEqual([count, 0, count, 60 - count]);
    openBatches.close();
  });

  test('E14: where as many are begun as there may be, they wait, and it says so', async () => {
    const { ids } = await waitingExpress(2);
    const openBatches = new OpenBatches();
    while (openBatches.room > 0) openBatches.expect(randomUUID(), 0);
    const dependencies = { ...parts(), openBatches };
    expect(await startDeliveries(dependencies, 2)).toEqual({
      started: 0,
      batches: 0,
      crowded: true,
      isShort: true,
    });
    for (const id of ids) expect(await startedAt(id)).toBeNull();
    open(openBatches, 10);
    expect(await startDeliveries(dependencies, 2)).toMatchObject({ started: 2, batches: 0 });
    openBatches.close();
  });

  test.each([
    ['not all', 3, 5, false],
    ['all', 3, 3, true],
    ['too few', 5, 3, true],
  ])('E14: it says so where more may wait: %s places were used', async (_what, count, places, isShort) => {
    await waitingExpress(count);
    const openBatches = new OpenBatches();
    open(openBatches, places);
    const started = Math.min(count, places);
    expect(await startDeliveries({ ...parts(), openBatches }, Infinity)).toMatchObject({ started, isShort });
    openBatches.close();
  });

  test('E14: those of the other lanes are started as ever, and take no place', async () => {
    const [{ ids }, express] = [await waiting(2), await waitingExpress(2)];
    const openBatches = new OpenBatches();
    const { handed } = open(openBatches, 60);
    expect(await startDeliveries({ ...parts(), openBatches }, 4)).toMatchObject({ started: 4, batches: 0 });
    for (const id of ids) expect([await isThere(id), (await batchOf(id)).id]).toEqual([true, id]);
    expect(idsOf(handed).toSorted()).toEqual(express.ids.toSorted());
    expect(openBatches.free).toBe(58);
    openBatches.close();
  });

  test('E2, E14: while Temporal is away they go out all the same; the others wait again, and no place is lost', async () => {
    const [{ ids }, express] = [await waiting(2), await waitingExpress(2)];
    const openBatches = new OpenBatches();
    const { id, handed } = open(openBatches, 60);
    const starting = () => startDeliveries({ ...parts(), openBatches }, 4);
    const failing = temporal.client.withDeadline(Date.now() - 1_000, starting);
    await expect(failing).rejects.toMatchObject({ name: 'ServiceError' });
    for (const one of ids) expect(await startedAt(one)).toBeNull();
    expect(idsOf(handed).toSorted()).toEqual(express.ids.toSorted());
    for (const one of express.ids) {
      expect([await startedAt(one), (await batchOf(one)).id]).toEqual([expect.any(Date), id]);
    }
    expect(openBatches.free).toBe(58);
    expect(await startAll()).toBe(2);
    openBatches.close();
  });

  test('E12, E14: while Temporal is slow to take the others, places are kept for nobody', async () => {
    const [{ ids }, express] = [await waiting(2), await waitingExpress(2)];
    let answer = (): void => undefined;
    const answering = new Promise<void>((resolve) => (answer = resolve));
    const slow = new Client({
      connection: temporal.connection,
      namespace: temporal.namespace,
      interceptors: {
        workflow: [
          {
            async startWithDetails(input, next) {
              await answering;
              return next(input);
            },
          },
        ],
      },
    });
    const openBatches = new OpenBatches();
    const { handed } = open(openBatches, 60);
    const starting = startDeliveries({ ...parts(), temporal: slow, openBatches }, 4);
    try {
      await expect.poll(() => idsOf(handed).length, { timeout: 5_000 }).toBe(express.ids.length);
      await expect.poll(() => openBatches.free, { timeout: 1_000 }).toBe(58);
      for (const id of ids) expect(await isThere(id)).toBe(false);
    } finally {
      answer();
      await starting;
    }
    for (const id of ids) expect(await isThere(id)).toBe(true);
    openBatches.close();
  });

  test('E14: with nothing to start, all places are free afterwards', async () => {
    const openBatches = new OpenBatches();
    const { handed } = open(openBatches, 60);
    const dependencies = { ...parts(), openBatches };
    expect(await startDeliveries(dependencies, Infinity)).toEqual({
      started: 0,
      batches: 0,
      crowded: false,
      isShort: false,
    });
    expect([openBatches.free, handed]).toEqual([60, []]);
    openBatches.close();
  });

  test('E2, E14: by several relays at once, each delivery goes out with one batch of one of them', async () => {
    const { ids } = await waitingExpress(40);
    const relay = async () => {
      const openBatches = new OpenBatches();
      const batch = open(openBatches, 50);
      while ((await startDeliveries({ ...parts(), openBatches }, 7)).started > 0);
      openBatches.close();
      return batch;
    };
    // The last one takes what others had locked just then.
    const all = [...(await Promise.all([relay(), relay(), relay()])), await relay()];
    expect(all.flatMap(({ handed }) => idsOf(handed)).toSorted()).toEqual(ids.toSorted());
    for (const { id, handed } of all) for (const one of idsOf(handed)) expect((await batchOf(one)).id).toBe(id);
  });
});

describe('going on after a batch', () => {
  /** Deliveries that a batch has attempted in vain. */
  async function failed(count: number): Promise<{ ids: string[]; sentAt: Date }> {
    const { ids } = await waiting(count, 'express');
    await startAll();
    const sentAt = new Date();
    const outcome = { kind: 'connection_error', reason: 'connection refused', durationMs: 1 } as const;
    const verdict = judgeAttempt(outcome, sentAt.getTime(), sentAt.getTime());
    const attempts = ids.map((deliveryId) => ({ deliveryId, number: 1, sentAt, outcome, verdict }));
    await recordFirstAttempts(environment.database.db, attempts);
    return { ids, sentAt };
  }

  const isWaiting = async (id: string) =>
    (await deliveriesToContinue(environment.database.db, 1_000)).some((one) => one.id === id);

  test('E14 D2: each gets a workflow of its own, which knows what came of its first attempt, and is marked', async () => {
    const { ids, sentAt } = await failed(3);
    expect(await continueDeliveries(parts())).toBe(3);
    for (const id of ids) {
      const { type, typedSearchAttributes } = await handle(id).describe();
      expect(type).toBe('deliverWebhook');
      const shown = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
      expect(shown['forgeflowState']).toBe('pending');
      const { next_attempt_at, carrier } = await deliveryRow(environment.database.db, id);
      expect(carrier).toBe(id);
      const [begun] = await eventsOf(handle(id));
      const [input] = begun?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
      expect(JSON.parse(Buffer.from(input?.data ?? []).toString())).toEqual({
        deliveryId: id,
        attemptsMade: 1,
        attempted: {
          failureDetail: 'Connection error: connection refused',
          lastAttemptAt: sentAt.toISOString(),
          nextAttemptAt: next_attempt_at!.toISOString(),
        },
      });
    }
    expect(await continueDeliveries(parts())).toBe(0);
  });

  test('E2, E14: whoever dies before it has marked them leaves them to another, who changes nothing', async () => {
    const { ids } = await failed(1);
    const waits = (await deliveryRow(environment.database.db, ids[0]!)).carrier;
    expect(await continueDeliveries(parts())).toBe(1);
    const { runId } = await handle(ids[0]!).describe();
    await environment.database.db
      .updateTable('deliveries')
      .set({ started_at: null, carrier: waits })
      .where('id', '=', ids[0]!)
      .execute();
    expect(await continueDeliveries(parts())).toBe(1);
    expect((await handle(ids[0]!).describe()).runId).toBe(runId);
    expect([await signalsOf(ids[0]!), await isWaiting(ids[0]!)]).toEqual([0, false]);
  });

  test('E14: by several relays at once, each goes on once', async () => {
    const { ids } = await failed(4);
    await Promise.all([continueDeliveries(parts()), continueDeliveries(parts()), continueDeliveries(parts())]);
    for (const id of ids)
      expect([await isThere(id), await signalsOf(id), await isWaiting(id)]).toEqual([true, 0, false]);
  });

  test('E2, E14: those that Temporal does not take wait again, and whoever asked hears of it', async () => {
    const { ids } = await failed(2);
    const failing = temporal.client.withDeadline(Date.now() - 1_000, () => continueDeliveries(parts()));
    await expect(failing).rejects.toMatchObject({ name: 'ServiceError' });
    for (const id of ids) expect([await isWaiting(id), await startedAt(id)]).toEqual([true, null]);
    expect(await continueDeliveries(parts())).toBe(2);
  });

  test('E14: one that is over by then gets none', async () => {
    const { ids } = await failed(1);
    await endDelivery(environment.database.db, ids[0]!, 'cancelled', 'by hand');
    expect([await continueDeliveries(parts()), await isThere(ids[0]!)]).toEqual([0, false]);
  });

  test('E14: more than are told at once all go on', async () => {
    const { ids } = await failed(70);
    while ((await continueDeliveries(parts())) > 0);
    for (const id of ids) expect(await isWaiting(id)).toBe(false);
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

  test('E2, E14: those of a batch that nobody came to start wait again, and go out with another', async () => {
    const { ids } = await waiting(2, 'express');
    const { db } = environment.database;
    const lost = randomUUID();
    await db
      .updateTable('deliveries')
      .set({ started_at: new Date(Date.now() - 4 * MINUTE), carrier: lost })
      .where('id', 'in', ids)
      .execute();
    await reviveStrays(parts());
    for (const id of ids) expect(await startedAt(id)).toBeNull();
    expect(await startAll()).toBe(2);
    const batch = await batchOf(ids[0]!);
    expect(batch.id).not.toBe(lost);
    expect((await batch.workflow.describe()).status.name).toBe('RUNNING');
  });

  test('E2, E14: those of a batch that is under way are left alone', async () => {
    const { ids } = await waiting(2, 'express');
    await startAll();
    const before = await batchOf(ids[0]!);
    for (const id of ids) await setStartedAt(id, 4 * MINUTE);
    await reviveStrays(parts());
    for (const id of ids) {
      expect((await batchOf(id)).id).toBe(before.id);
      expect(Date.now() - (await startedAt(id))!.getTime()).toBeLessThan(MINUTE);
    }
  });

  test('E2, E14: those of a batch whose workflow was ended by hand wait again', async () => {
    const { ids } = await waiting(2, 'express');
    await startAll();
    await (await batchOf(ids[0]!)).workflow.terminate('for a test');
    for (const id of ids) await setStartedAt(id, 4 * MINUTE);
    await reviveStrays(parts());
    for (const id of ids) expect(await startedAt(id)).toBeNull();
    await startAll();
    expect((await (await batchOf(ids[0]!)).workflow.describe()).status.name).toBe('RUNNING');
  });
});
