import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ActivityCancellationDetails } from '@temporalio/common';
import type { MockActivityEnvironment } from '@temporalio/testing';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFirstAttempts, type FirstAttemptsRequest } from '../../activities/first-attempts.ts';
import { listAttempts } from '../../src/database/attempts.ts';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { endDelivery } from '../../src/database/deliveries.ts';
import { loadBatch, putBack, recordFirstAttempts } from '../../src/database/first-attempts.ts';
import { deleteSubscription, disableSubscription, subscriptionsVersion } from '../../src/database/subscriptions.ts';
import { judgeAttempt } from '../../src/domain/delivery.ts';
import { type FirstAttemptsResult, SMALL_PAYLOAD } from '../../src/domain/first-attempts.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { EgressGate } from '../../src/egress/gate.ts';
import { OpenBatches } from '../../src/egress/open-batches.ts';
import { createSender, type Sender } from '../../src/egress/send.ts';
import { freePort } from '../../src/free-port.ts';
import {
  assignTo,
  cutBlocked,
  giveOut,
  goneDelivery,
  handOver,
  insertBatchTo,
  insertWaitingTo,
  lockOf,
  quietActivity,
  untilBlocked,
  whileLocked,
} from '../support/batches.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { type HoldingReceiver, idsOf, startHoldingReceiver, untilNoMoreCome } from '../support/holding-receiver.ts';
import { type Receiver, startReceiver, verify } from '../support/receiver.ts';
import { attemptParts, deliveryRow, subscriptionRow, testSealer } from '../support/records.ts';

let database: TestDatabase;
let db: ForgeflowDatabase;
let sender: Sender;
let receiver: Receiver;
let failing: Receiver;
beforeAll(async () => {
  [database, receiver, failing] = await Promise.all([cloneDatabase(), startReceiver(), startReceiver({ answer: 500 })]);
  db = database.db;
  sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs: 10_000 });
});
afterAll(async () => {
  await sender.close();
  await Promise.all([receiver.close(), failing.close()]);
  await database.drop();
});

interface Run {
  openBatches: OpenBatches;
  environment: MockActivityEnvironment;
  result: Promise<FirstAttemptsResult>;
  /** What it is rejected with, or its result. */
  end: Promise<unknown>;
}

function start(
  { batchId, deliveryIds = [] }: Partial<FirstAttemptsRequest> & { batchId: string },
  { gate = attemptParts.gate, environment = quietActivity(), of = db } = {},
): Run {
  const openBatches = new OpenBatches();
  const parts = { ...attemptParts, sender, sealer: testSealer, gate, openBatches };
  const activities = createFirstAttempts({ ...parts, db: of });
  const result: Promise<FirstAttemptsResult> = environment.run(() =>
    activities.makeFirstAttempts({ batchId, deliveryIds }),
  );
  const end = result.catch((error: unknown) => error);
  return { openBatches, environment, result, end };
}

interface HeldRun extends Run {
  batchId: string;
  /** The one delivery that it begins with. */
  heldId: string;
  held: HoldingReceiver;
  /** Answers that one. @returns what it came to */
  finish: () => Promise<FirstAttemptsResult>;
}

/** A batch that knows what was there when it began, and is kept open by one delivery whose receiver does not answer yet. */
async function startHeld(options: Parameters<typeof start>[1] = {}): Promise<HeldRun> {
  const held = await startHoldingReceiver();
  const { batchId, ids } = await insertBatchTo(db, held.url, 1);
  const run = start({ batchId, deliveryIds: ids }, options);
  await held.waitForRequests(1);
  return {
    ...run,
    batchId,
    heldId: ids[0]!,
    held,
    async finish() {
      held.letGo(200);
      return run.result.finally(() => held.close());
    },
  };
}

const stateOf = async (id: string) => (await deliveryRow(db, id)).state;
const statesOf = async (ids: string[]) => new Set(await Promise.all(ids.map(stateOf)));
const nameOf = (subscriptionId: string) => `s-${subscriptionId}`;
/** The ids that came to a receiver, of those given. */
const cameTo = ({ requests }: Receiver, ids: string[]) => idsOf(requests).filter((id) => ids.includes(id));
const requestOf = ({ requests }: Receiver, id: string) => requests.find(({ headers }) => headers['webhook-id'] === id)!;
const NOTHING = { delivered: 0, retrying: 0, failed: 0, putBack: 0, leftOut: 0 };

describe('a batch of first attempts', () => {
  test('E14: sends what it begins with, writes down what came of it, and counts it', async () => {
    const batchId = randomUUID();
    const good = await insertBatchTo(db, receiver.url, 3, { batchId, payload: '{"n":1}' });
    const bad = await insertBatchTo(db, failing.url, 2, { batchId });
    const { result } = start({ batchId, deliveryIds: [...good.ids, ...bad.ids] });
    const { subscriptions, ...counts } = await result;
    expect(counts).toEqual({ ...NOTHING, delivered: 3, retrying: 2 });
    expect(subscriptions?.toSorted()).toEqual([nameOf(good.subscriptionId), nameOf(bad.subscriptionId)].toSorted());
    const { secret_sealed } = await subscriptionRow(db, good.subscriptionId);
    for (const id of good.ids) {
      expect(verify(requestOf(receiver, id), testSealer.open(secret_sealed))).toEqual({ n: 1 });
      expect(await deliveryRow(db, id)).toMatchObject({ state: 'delivered', attempt_count: 1, carrier: null });
      expect(await listAttempts(db, id)).toMatchObject([{ number: 1, status_code: 200 }]);
    }
    for (const id of bad.ids) {
      expect(await deliveryRow(db, id)).toMatchObject({
        state: 'pending',
        attempt_count: 1,
        failure_detail: 'Bad HTTP response: 500',
        next_attempt_at: expect.any(Date) as Date,
        started_at: null,
      });
    }
    expect(await subscriptionRow(db, bad.subscriptionId)).toMatchObject({ consecutive_failures: 2 });
  });

  test('E14: one with nothing in it ends soon', async () => {
    const { result, openBatches } = start({ batchId: randomUUID() });
    expect(await result).toEqual({ ...NOTHING, subscriptions: [] });
    expect(openBatches.free).toBe(0);
  });

  test('E14 D12: a receiver that is gone fails its delivery for good', async () => {
    const gone = await startReceiver({ answer: 410 });
    const { batchId, ids, subscriptionId } = await insertBatchTo(db, gone.url, 1);
    expect(await start({ batchId, deliveryIds: ids }).result).toMatchObject({ ...NOTHING, failed: 1 });
    expect(await stateOf(ids[0]!)).toBe('failed');
    expect((await subscriptionRow(db, subscriptionId)).state).toBe('paused');
    await gone.close();
  });

  test('E14: one that takes over from another sends what that was handed too, be it more than it has places for', async () => {
    const held = await startHoldingReceiver();
    const { batchId, ids } = await insertBatchTo(db, held.url, 130);
    const { openBatches, result } = start({ batchId });
    await held.waitForRequests(130);
    expect([openBatches.free, openBatches.reserve(1).slots]).toEqual([0, []]);
    held.letGo(200);
    await openBatches.whenFree(100, 5_000);
    expect(openBatches.free).toBe(100);
    expect(await result).toMatchObject({ ...NOTHING, delivered: 130 });
    expect(await untilNoMoreCome(held)).toEqual(new Set(ids));
    expect(held.requests.length).toBe(130);
    await held.close();
  });

  test.each<[string, (id: string, batchId: string) => Promise<unknown>]>([
    ['cancelled', (id) => endDelivery(db, id, 'cancelled', 'by hand')],
    ['recorded as delivered', (id) => record(id, 200)],
    ['recorded, and waits for its next attempt', (id) => record(id, 500)],
    ['put back', (id, batchId) => putBack(db, batchId, [id])],
    ['given to another batch', (id) => assignTo(db, randomUUID(), [id])],
    [
      'gone with its subscription',
      async (id) => deleteSubscription(db, nameOf((await deliveryRow(db, id)).subscription_id)),
    ],
  ])('E14: leaves out what it was begun with that was %s before it began', async (_what, happen) => {
    const { batchId, ids } = await insertBatchTo(db, receiver.url, 2);
    const other = await insertBatchTo(db, receiver.url, 1, { batchId });
    const [first, second] = ids;
    await happen(first!, batchId);
    const left = await db.selectFrom('deliveries').selectAll().where('id', '=', first!).execute();
    const sent = [second!, ...other.ids].filter((id) => left.length > 0 || id !== second); // which is gone too
    const { result } = start({ batchId, deliveryIds: [...ids, ...other.ids] });
    expect(await result).toMatchObject({ ...NOTHING, delivered: sent.length, leftOut: 3 - sent.length });
    expect(cameTo(receiver, [...ids, ...other.ids]).toSorted()).toEqual(sent.toSorted());
    expect(await db.selectFrom('deliveries').selectAll().where('id', '=', first!).execute()).toEqual(left);
  });
});

async function record(deliveryId: string, statusCode: number): Promise<void> {
  const sentAt = new Date();
  const body = Buffer.from('');
  const outcome: Outcome = { kind: 'response', statusCode, headers: {}, body, truncated: false, durationMs: 1 };
  const verdict = judgeAttempt(outcome, sentAt.getTime(), sentAt.getTime());
  await recordFirstAttempts(db, [{ deliveryId, number: 1, sentAt, outcome, verdict }]);
}

describe('deliveries that come while it is open', () => {
  test('E14: go out with it at once, once each, and are written down and counted as the others', async () => {
    const { batchId, openBatches, finish } = await startHeld();
    const good = await insertWaitingTo(db, receiver.url, 20, { payload: '{"late":true}' });
    const bad = await insertWaitingTo(db, failing.url, 3);
    await giveOut(db, openBatches, batchId, good.ids);
    await giveOut(db, openBatches, batchId, bad.ids);
    await expect.poll(() => statesOf(good.ids)).toEqual(new Set(['delivered']));
    const result = await finish();
    expect(result).toMatchObject({ ...NOTHING, delivered: 21, retrying: 3 });
    expect(result.subscriptions).toContain(nameOf(good.subscriptionId));
    expect(result.subscriptions).toContain(nameOf(bad.subscriptionId));
    expect(cameTo(receiver, good.ids).toSorted()).toEqual(good.ids.toSorted());
    expect(cameTo(failing, bad.ids).toSorted()).toEqual(bad.ids.toSorted());
    expect(requestOf(receiver, good.ids[0]!).rawBody.toString()).toBe('{"late":true}');
    for (const id of good.ids) expect(await listAttempts(db, id)).toMatchObject([{ number: 1, status_code: 200 }]);
    for (const id of bad.ids)
      expect(await deliveryRow(db, id)).toMatchObject({ state: 'pending', attempt_count: 1, started_at: null });
  });

  test('E14: find no place before it has read what is there, or they would be read, too, and go out twice', async () => {
    const held = await startHoldingReceiver();
    const { batchId, ids } = await insertBatchTo(db, held.url, 1);
    const { openBatches, result } = await whileLocked(db, lockOf('events'), async () => {
      const run = start({ batchId, deliveryIds: ids });
      await untilBlocked(db);
      expect(run.openBatches.reserve(1).slots).toEqual([]);
      return run;
    });
    const late = await insertWaitingTo(db, held.url, 3);
    await openBatches.whenFree(99, 5_000);
    await giveOut(db, openBatches, batchId, late.ids);
    await held.waitForRequests(4);
    expect(await untilNoMoreCome(held)).toEqual(new Set([...ids, ...late.ids]));
    expect(openBatches.free).toBe(96);
    held.letGo(200);
    expect(await result).toMatchObject({ ...NOTHING, delivered: 4 });
    expect(held.requests.length).toBe(4);
    await held.close();
  });

  test('E14: may be put back, and come again to the same batch', async () => {
    const { batchId, openBatches, finish } = await startHeld();
    const { ids, subscriptionId } = await insertWaitingTo(db, receiver.url, 2);
    await db.updateTable('subscriptions').set({ state: 'tripped' }).where('id', '=', subscriptionId).execute();
    await giveOut(db, openBatches, batchId, ids);
    await openBatches.whenFree(99, 5_000);
    await db.updateTable('subscriptions').set({ state: 'active' }).where('id', '=', subscriptionId).execute();
    await giveOut(db, openBatches, batchId, ids);
    expect(await finish()).toMatchObject({ ...NOTHING, delivered: 3, putBack: 2 });
    expect(cameTo(receiver, ids).length).toBe(2);
  });

  test('E14: whose payload is large are read when they are sent', async () => {
    const payload = JSON.stringify('ü'.repeat(SMALL_PAYLOAD));
    const { batchId, openBatches, finish } = await startHeld();
    const { ids } = await insertWaitingTo(db, receiver.url, 2, { payload });
    await assignTo(db, batchId, ids);
    const handed = await loadBatch(db, batchId, ids);
    expect(handed.deliveries.map((one) => one.payload)).toEqual([null, null]);
    handOver(openBatches, batchId, handed);
    expect(await finish()).toMatchObject({ ...NOTHING, delivered: 3 });
    for (const id of ids) expect(requestOf(receiver, id).rawBody.toString()).toBe(payload);
  });

  test('E14 D8: go to a subscription as it is when they are made, whatever was known of it before', async () => {
    const { batchId, openBatches, finish, heldId, held } = await startHeld();
    const { subscription_id } = await deliveryRow(db, heldId);
    const { ids } = await insertWaitingTo(db, receiver.url, 2);
    const toHeld = { subscription_id };
    await db.updateTable('deliveries').set(toHeld).where('id', 'in', ids).execute();
    await giveOut(db, openBatches, batchId, ids.slice(0, 1));
    await held.waitForRequests(2);
    await db.updateTable('subscriptions').set({ url: receiver.url }).where('id', '=', subscription_id).execute();
    await giveOut(db, openBatches, batchId, ids.slice(1));
    await expect.poll(() => stateOf(ids[1]!)).toBe('delivered');
    expect(await finish()).toMatchObject({ ...NOTHING, delivered: 3 });
    expect(idsOf(held.requests)).toEqual([heldId, ids[0]]);
    expect(cameTo(receiver, ids)).toEqual([ids[1]]);
  });

  test('E14: are the batch’s when it is made anew, as far as they were not written down', async () => {
    const { batchId, openBatches, end, environment, heldId, held } = await startHeld();
    const [written, unwritten] = [await insertWaitingTo(db, receiver.url, 2), await insertWaitingTo(db, held.url, 2)];
    await giveOut(db, openBatches, batchId, [...written.ids, ...unwritten.ids]);
    await held.waitForRequests(3);
    await expect.poll(() => statesOf(written.ids)).toEqual(new Set(['delivered']));
    environment.cancel('CANCELLED', new ActivityCancellationDetails({ workerShutdown: true }));
    expect(await end).toMatchObject({ type: 'WebhookDeliveryRetry' });
    held.letGo(200);
    const again = start({ batchId, deliveryIds: [heldId] });
    expect(await again.result).toMatchObject({ ...NOTHING, delivered: 3 });
    expect(cameTo(receiver, written.ids).length).toBe(2);
    expect(await statesOf([heldId, ...unwritten.ids])).toEqual(new Set(['delivered']));
    await held.close();
  });
});

describe('a place', () => {
  test.each<[string, Partial<FirstAttemptsResult>, (run: HeldRun) => Promise<unknown>]>([
    [
      'delivered',
      { delivered: 6 },
      async ({ batchId, openBatches }) =>
        giveOut(db, openBatches, batchId, (await insertWaitingTo(db, receiver.url, 5)).ids),
    ],
    [
      'to be tried again',
      { delivered: 1, retrying: 5 },
      async ({ batchId, openBatches }) =>
        giveOut(db, openBatches, batchId, (await insertWaitingTo(db, failing.url, 5)).ids),
    ],
    [
      'failed, its subscription being paused',
      { delivered: 1, failed: 5 },
      async ({ batchId, openBatches }) => {
        const { ids, subscriptionId } = await insertWaitingTo(db, receiver.url, 5);
        await disableSubscription(db, subscriptionId);
        await giveOut(db, openBatches, batchId, ids);
      },
    ],
    [
      'put back, its subscription being tripped',
      { delivered: 1, putBack: 5 },
      async ({ batchId, openBatches }) => {
        const { ids, subscriptionId } = await insertWaitingTo(db, receiver.url, 5);
        await db.updateTable('subscriptions').set({ state: 'tripped' }).where('id', '=', subscriptionId).execute();
        await giveOut(db, openBatches, batchId, ids);
        for (const id of ids)
          await expect.poll(() => deliveryRow(db, id)).toMatchObject({ state: 'pending', started_at: null });
      },
    ],
    [
      'gone with its subscription',
      { delivered: 1, leftOut: 5 },
      async ({ batchId, openBatches }) => {
        const deliveries = Array.from({ length: 5 }, goneDelivery);
        handOver(openBatches, batchId, { deliveries, version: await subscriptionsVersion(db) });
      },
    ],
    [
      'gone with its event',
      { delivered: 1, leftOut: 1 },
      async ({ batchId, openBatches }) => {
        const { subscriptionId } = await insertWaitingTo(db, receiver.url, 1);
        const deliveries = [{ ...goneDelivery(), subscriptionId, payload: null }];
        handOver(openBatches, batchId, { deliveries, version: await subscriptionsVersion(db) });
      },
    ],
    [
      'left to a workflow of its own, its secret not being readable',
      { delivered: 1, leftOut: 5 },
      async ({ batchId, openBatches }) => {
        const { ids, subscriptionId } = await insertWaitingTo(db, receiver.url, 5);
        await spoil(subscriptionId, { secret_sealed: Buffer.from('no secret of ours') });
        await giveOut(db, openBatches, batchId, ids);
      },
    ],
    [
      'left to a workflow of its own, its request being impossible',
      { delivered: 1, putBack: 5 },
      async ({ batchId, openBatches }) => {
        const { ids, subscriptionId } = await insertWaitingTo(db, receiver.url, 5);
        await spoil(subscriptionId, { headers_sealed: testSealer.seal('{"x-a":"two\\nlines"}') });
        await giveOut(db, openBatches, batchId, ids);
      },
    ],
  ])('E14: is free again when its delivery is %s', async (_what, expected, handSome) => {
    const run = await startHeld();
    await handSome(run);
    await run.openBatches.whenFree(99, 5_000);
    expect(run.openBatches.free).toBe(99);
    run.held.letGo(200);
    await run.openBatches.whenFree(100, 5_000);
    expect(run.openBatches.free).toBe(100);
    expect(await run.finish()).toMatchObject({ ...NOTHING, ...expected });
  });

  test('E14: is not free before its delivery is written down', async () => {
    const { batchId, openBatches, finish } = await startHeld();
    const { ids } = await insertWaitingTo(db, receiver.url, 4);
    await whileLocked(db, lockOf('attempts'), async () => {
      await giveOut(db, openBatches, batchId, ids);
      await untilBlocked(db);
      expect([cameTo(receiver, ids).length, openBatches.free]).toEqual([4, 95]);
    });
    await openBatches.whenFree(99, 5_000);
    expect(await statesOf(ids)).toEqual(new Set(['delivered']));
    expect(await finish()).toMatchObject({ ...NOTHING, delivered: 5 });
  });

  test('E14: serves one delivery after the other: many more than there are places go out with one batch', async () => {
    let [underWay, most] = [0, 0];
    const busy = await startReceiver({
      answer: async () => {
        most = Math.max(most, ++underWay);
        await sleep(10);
        underWay -= 1;
        return 200;
      },
    });
    const { ids } = await insertWaitingTo(db, busy.url, 250);
    const { batchId, openBatches, finish } = await startHeld();
    for (const left = [...ids]; left.length > 0;) {
      await openBatches.whenFree(Math.min(20, left.length), 5_000);
      await giveOut(db, openBatches, batchId, left.splice(0, openBatches.free));
    }
    await openBatches.whenFree(99, 5_000);
    expect(openBatches.free).toBe(99);
    expect(await finish()).toMatchObject({ ...NOTHING, delivered: 251 });
    expect(idsOf(busy.requests).toSorted()).toEqual(ids.toSorted());
    expect(most).toBeLessThanOrEqual(99);
    expect(await statesOf(ids)).toEqual(new Set(['delivered']));
    await busy.close();
  });
});

async function spoil(id: string, values: { secret_sealed: Buffer } | { headers_sealed: Buffer }): Promise<void> {
  await db.updateTable('subscriptions').set(values).where('id', '=', id).execute();
}

describe('who waits for a place among the requests in flight', () => {
  const oneAtOnce = () => new EgressGate({ total: 1, perSubscription: 1 });
  /** Longer than what was read of a delivery holds, in ms. */
  const STALE_MS = 300;

  test('E14 D8: is looked at again: what is over by then is left out, and a paused subscription gets nothing', async () => {
    const { batchId, openBatches, finish } = await startHeld({ gate: oneAtOnce() });
    const { ids } = await insertWaitingTo(db, receiver.url, 4);
    const paused = await insertWaitingTo(db, receiver.url, 2);
    await giveOut(db, openBatches, batchId, [...ids, ...paused.ids]);
    await endDelivery(db, ids[0]!, 'cancelled', 'by hand');
    await assignTo(db, randomUUID(), [ids[1]!]);
    await putBack(db, batchId, [ids[2]!]);
    await disableSubscription(db, paused.subscriptionId);
    await sleep(STALE_MS);
    expect(await finish()).toMatchObject({ ...NOTHING, delivered: 2, leftOut: 3, failed: 2 });
    expect(cameTo(receiver, [...ids, ...paused.ids])).toEqual([ids[3]]);
    expect(await statesOf(paused.ids)).toEqual(new Set(['failed']));
    expect((await deliveryRow(db, paused.ids[0]!)).failure_detail).toBe('Webhook deactivated');
  });

  test('E14: is put back when nobody is let in any more', async () => {
    const gate = oneAtOnce();
    const { batchId, openBatches, finish } = await startHeld({ gate });
    const { ids } = await insertWaitingTo(db, receiver.url, 3);
    await giveOut(db, openBatches, batchId, ids);
    gate.close();
    await openBatches.whenFree(99, 5_000);
    for (const id of ids) expect(await deliveryRow(db, id)).toMatchObject({ state: 'pending', started_at: null });
    expect(await finish()).toMatchObject({ ...NOTHING, delivered: 1, putBack: 3 });
    expect(cameTo(receiver, ids)).toEqual([]);
  });

  test('E14: is not sent by a batch that is cancelled, which takes no more and puts back what it has not sent', async () => {
    const { batchId, openBatches, environment, finish } = await startHeld({ gate: oneAtOnce() });
    const { ids } = await insertWaitingTo(db, receiver.url, 3);
    await giveOut(db, openBatches, batchId, ids);
    environment.cancel('CANCELLED', new ActivityCancellationDetails({ cancelRequested: true }));
    expect([openBatches.free, openBatches.reserve(1).slots]).toEqual([0, []]);
    expect(await finish()).toMatchObject({ ...NOTHING, delivered: 1, putBack: 3 });
    expect(cameTo(receiver, ids)).toEqual([]);
    for (const id of ids)
      expect(await deliveryRow(db, id)).toMatchObject({ state: 'pending', started_at: null, attempt_count: 0 });
  });

  test('E14: a batch that is cancelled before it begins sends nothing', async () => {
    const { batchId, ids } = await insertBatchTo(db, receiver.url, 3);
    const environment = quietActivity();
    environment.cancel('CANCELLED', new ActivityCancellationDetails({ cancelRequested: true }));
    const { result } = start({ batchId, deliveryIds: ids }, { environment });
    expect(await result).toMatchObject({ ...NOTHING, putBack: 3 });
    expect(cameTo(receiver, ids)).toEqual([]);
    for (const id of ids) expect(await deliveryRow(db, id)).toMatchObject({ state: 'pending', started_at: null });
  });
});

describe('a fault of ours', () => {
  test('E14 D5: a database that is away is one, and nothing is sent', async () => {
    const away = openDatabase(`postgres://nobody@127.0.0.1:${await freePort()}/none`);
    const { batchId, ids } = await insertBatchTo(db, receiver.url, 2);
    const { end, openBatches } = start({ batchId, deliveryIds: ids }, { of: away });
    expect(await end).toMatchObject({ type: 'WebhookDeliveryRetry', nonRetryable: false, cause: undefined });
    expect(openBatches.free).toBe(0);
    expect(cameTo(receiver, ids)).toEqual([]);
    await away.destroy();
  });

  test('E14 D5: a connection that is cut ends the batch, but not what is under way; the next try does the rest alone', async () => {
    const { batchId, openBatches, end, heldId, held } = await startHeld();
    const { ids } = await insertWaitingTo(db, receiver.url, 1, {
      payload: JSON.stringify('x'.repeat(2 * SMALL_PAYLOAD)),
    });
    await assignTo(db, batchId, ids);
    const handed = await loadBatch(db, batchId, ids);
    let isOver = false;
    void end.then(() => (isOver = true));
    await whileLocked(db, lockOf('events'), async () => {
      handOver(openBatches, batchId, handed);
      await cutBlocked(db); // while it reads the payload
      await expect.poll(() => openBatches.free).toBe(0);
    });
    await sleep(100);
    expect(isOver).toBe(false);
    held.letGo(200);
    expect(await end).toMatchObject({ type: 'WebhookDeliveryRetry', nonRetryable: false, cause: undefined });
    expect(await stateOf(heldId)).toBe('delivered');
    expect(await deliveryRow(db, ids[0]!)).toMatchObject({ state: 'pending', carrier: batchId, attempt_count: 0 });
    const again = start({ batchId, deliveryIds: [heldId] });
    expect(await again.result).toMatchObject({ ...NOTHING, delivered: 1, leftOut: 1 });
    expect([held.requests.length, cameTo(receiver, ids)]).toEqual([1, ids]);
    await held.close();
  });

  test('E14 D5: a connection that is cut while attempts are written down is replaced, and nothing is sent again', async () => {
    const { batchId, ids } = await insertBatchTo(db, receiver.url, 3);
    const { result } = start({ batchId, deliveryIds: ids });
    await whileLocked(db, lockOf('attempts'), () => cutBlocked(db));
    expect(await result).toMatchObject({ ...NOTHING, delivered: 3 });
    expect(cameTo(receiver, ids).length).toBe(3);
    for (const id of ids) expect((await listAttempts(db, id)).length).toBe(1);
  });

  test('E14 E6: books that cannot be kept are one, but they fail no delivery', async () => {
    const { batchId, openBatches, finish } = await startHeld();
    const { ids, subscriptionId } = await insertWaitingTo(db, failing.url, 2);
    await sql`alter table subscriptions rename column last_error to last_error_away`.execute(db);
    try {
      await giveOut(db, openBatches, batchId, ids);
      await openBatches.whenFree(99, 5_000);
      expect(await finish()).toMatchObject({ ...NOTHING, delivered: 1, retrying: 2 });
    } finally {
      await sql`alter table subscriptions rename column last_error_away to last_error`.execute(db);
    }
    for (const id of ids) expect(await deliveryRow(db, id)).toMatchObject({ attempt_count: 1, started_at: null });
    expect(await subscriptionRow(db, subscriptionId)).toMatchObject({ consecutive_failures: 0 });
  });

  test.each<[string, Parameters<typeof spoil>[1], Partial<FirstAttemptsResult>]>([
    ['whose secret does not open', { secret_sealed: Buffer.from('no secret of ours') }, { leftOut: 4 }],
    ['whose headers no request can have', { headers_sealed: testSealer.seal('{"x-a":"two\\nlines"}') }, { putBack: 4 }],
  ])('E14: a subscription %s goes its own way, and keeps nothing of the others', async (_what, broken, expected) => {
    const { batchId, openBatches, finish } = await startHeld();
    const bad = await insertWaitingTo(db, receiver.url, 2);
    const good = await insertWaitingTo(db, receiver.url, 2);
    await spoil(bad.subscriptionId, broken);
    await giveOut(db, openBatches, batchId, [...bad.ids, ...good.ids]);
    expect(await finish()).toMatchObject({ delivered: 3 });

    const begun = await insertBatchTo(db, receiver.url, 4);
    const others = await insertBatchTo(db, receiver.url, 3, { batchId: begun.batchId });
    await spoil(begun.subscriptionId, broken);
    const { result } = start({ batchId: begun.batchId, deliveryIds: [...begun.ids, ...others.ids] });
    expect(await result).toMatchObject({ ...NOTHING, delivered: 3, ...expected });

    for (const id of [...bad.ids, ...begun.ids])
      expect(await deliveryRow(db, id)).toMatchObject({
        state: 'pending',
        carrier: id,
        started_at: null,
        attempt_count: 0,
      });
    expect(cameTo(receiver, [...bad.ids, ...begun.ids])).toEqual([]);
    expect(await statesOf([...good.ids, ...others.ids])).toEqual(new Set(['delivered']));
  });
});
