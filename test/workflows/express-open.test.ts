import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fastForward } from '../../src/dev/fast-forward.ts';
import { BATCH_SIZE, firstAttemptsWorkflowId, type FirstAttemptsResult } from '../../src/domain/first-attempts.ts';
import type { SubscriptionWithSecret } from '../../src/index.ts';
import type { deliverFirstAttempts } from '../../workflows/deliver-first-attempts.ts';
import { untilDelivery, untilDispatched } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import {
  batchesTo,
  hasOwnWorkflow,
  publishNumbers,
  publishTogether,
  subscribeExpress,
  untilBatchesEnded,
  untilContinued,
  untilCount,
  untilOver,
} from '../support/express.ts';
import { eventsOf } from '../support/history.ts';
import { type HoldingReceiver, idsOf, startHoldingReceiver, untilNoMoreCome } from '../support/holding-receiver.ts';
import { type Receiver, startReceiver, verify } from '../support/receiver.ts';
import { expectOnSchedule } from '../support/retry-schedule.ts';

const MINUTE = 60_000;
const PER_SUBSCRIPTION = 5;
const BATCHES = `WorkflowType = 'deliverFirstAttempts'`;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    timeoutMs: 20_000,
    intervals: { poll: 100 },
    settings: {
      BREAKER_FAILURES: '1000',
      EGRESS_CONCURRENCY: '20',
      EGRESS_CONCURRENCY_PER_SUBSCRIPTION: String(PER_SUBSCRIPTION),
    },
  });
});
afterAll(() => environment.stop());
// One that an earlier test has left open would take what is published here.
beforeEach(async () => {
  const running = () => count(`${BATCHES} AND ExecutionStatus = 'Running'`);
  await expect.poll(running, { timeout: 10_000 }).toBe(0);
});

async function count(query: string): Promise<number> {
  return (await environment.forgeflow.temporal.workflow.count(query)).count;
}

type BatchHandle = WorkflowHandle<typeof deliverFirstAttempts>;
const batch = (workflowId: string): BatchHandle => environment.forgeflow.temporal.workflow.getHandle(workflowId);

/** What all batches to a subscription came to, once they have ended. */
async function resultsOf({ name }: SubscriptionWithSecret): Promise<FirstAttemptsResult[]> {
  const batches = await untilBatchesEnded(environment.forgeflow, name);
  return Promise.all(batches.map(({ workflowId }) => batch(workflowId).result()));
}

interface Held {
  handle: BatchHandle;
  subscription: SubscriptionWithSecret;
  receiver: HoldingReceiver;
}

/** A batch with one delivery, which is held: it takes what comes in the next three seconds. */
async function openBatch(): Promise<Held> {
  const receiver = await startHoldingReceiver();
  const subscription = await subscribeExpress(environment, receiver.url);
  const [delivery] = await publishNumbers(environment, subscription, 1);
  await receiver.waitForRequests(1);
  const { carrier } = await environment.database.db
    .selectFrom('deliveries')
    .select('carrier')
    .where('id', '=', delivery!.id)
    .executeTakeFirstOrThrow();
  return { handle: batch(firstAttemptsWorkflowId(carrier!)), subscription, receiver };
}

/** Lets the held delivery of an open batch through. @returns what came of all that the batch had by then */
async function endOf({ handle, receiver }: Held): Promise<FirstAttemptsResult> {
  receiver.letGo(200);
  const result = await handle.result();
  await receiver.close();
  return result;
}

const numbersOf = ({ requests }: Receiver): number[] => requests.map(({ rawBody }) => Number(rawBody.toString()));
const upTo = (length: number): number[] => Array.from({ length }, (_, n) => n);

describe('a stream of events, one after the other', () => {
  const COUNT = 150;

  test('E14: goes out with few workflows, each event once', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    await publishNumbers(environment, subscription, 1); // the first of all waits for a worker to load its workflows
    await resultsOf(subscription);
    const startedAt = Date.now();
    for (let data = 1; data <= COUNT; data += 1) {
      await forgeflow.publish({ topic: subscription.name, data });
      await sleep(8);
    }
    await untilCount(forgeflow, subscription.name, 'delivered', 1 + COUNT);
    const seconds = (Date.now() - startedAt) / 1_000;
    expect(numbersOf(receiver).toSorted((a, b) => a - b)).toEqual(upTo(1 + COUNT));
    expect(new Set(idsOf(receiver.requests)).size).toBe(1 + COUNT);
    const results = await resultsOf(subscription);
    expect(results.reduce((sum, { delivered }) => sum + delivered, 0)).toBe(1 + COUNT);
    for (const result of results) expect(result).toMatchObject({ retrying: 0, failed: 0, putBack: 0, leftOut: 0 });
    expect(results.length).toBeLessThanOrEqual(3 + Math.ceil(seconds));
    await receiver.close();
  });

  test('E14: a lone event has a batch to itself, which ends soon after', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    for (const round of [1, 2, 3]) {
      const [delivery] = await publishNumbers(environment, subscription, 1);
      const { dateSent } = await untilOver(forgeflow, delivery!);
      const batches = await eventually(async () => {
        const ended = await untilBatchesEnded(forgeflow, subscription.name);
        if (ended.length < round) throw new Error('its batch is not visible');
        return ended;
      });
      expect(batches.length).toBe(round);
      for (const { status } of batches) expect(status.name).toBe('COMPLETED');
      const closedAt = Math.max(...batches.map(({ closeTime }) => closeTime!.getTime()));
      expect(closedAt - Date.parse(dateSent!)).toBeLessThan(2_000);
    }
    expect((await resultsOf(subscription)).map(({ delivered }) => delivered)).toEqual([1, 1, 1]);
    await receiver.close();
  });
});

describe('a change of a subscription while batches are open', () => {
  const ROUNDS = 10;

  /** Keeps a batch open by events to another subscription, which all arrive. Few batches see all of it. */
  async function whileEventsFlow(work: () => Promise<void>): Promise<void> {
    const { forgeflow } = environment;
    const before = await count(BATCHES);
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const over = new AbortController();
    const publish = async (): Promise<number> => {
      for (let data = 0; ; data += 1) {
        if (over.signal.aborted) return data;
        await forgeflow.publish({ topic: subscription.name, data });
        await sleep(10);
      }
    };
    const publishing = publish();
    try {
      await receiver.waitForRequests(3);
      await work();
    } finally {
      over.abort();
      await publishing;
    }
    await untilCount(forgeflow, subscription.name, 'delivered', await publishing);
    expect(numbersOf(receiver).toSorted((a, b) => a - b)).toEqual(upTo(await publishing));
    expect((await count(BATCHES)) - before).toBeLessThan(ROUNDS);
    await receiver.close();
  }

  test('E14 E4: of its URL: all that is published afterwards goes to the new one, back and forth without a pause', async () => {
    const { forgeflow } = environment;
    const [one, other] = [await startReceiver(), await startReceiver()];
    const { name } = await subscribeExpress(environment, one.url);
    await whileEventsFlow(async () => {
      for (const round of upTo(ROUNDS)) {
        const receiver = round % 2 === 0 ? other : one;
        await forgeflow.subscriptions.update(name, { url: receiver.url });
        await forgeflow.publish({ topic: name, data: round });
        await receiver.waitForRequests(Math.floor(round / 2) + 1);
      }
    });
    expect(numbersOf(other)).toEqual(upTo(ROUNDS).filter((round) => round % 2 === 0));
    expect(numbersOf(one)).toEqual(upTo(ROUNDS).filter((round) => round % 2 === 1));
    await Promise.all([one.close(), other.close()]);
  });

  test('E14 D10: of its secret: what is published afterwards is signed by the new one', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const { name, secret } = await subscribeExpress(environment, receiver.url);
    const secrets = [secret];
    await whileEventsFlow(async () => {
      for (const round of upTo(ROUNDS)) {
        secrets.push((await forgeflow.subscriptions.rotateSecret(name)).secret);
        await forgeflow.publish({ topic: name, data: round });
        await receiver.waitForRequests(round + 1);
      }
    });
    for (const [round, request] of receiver.requests.entries()) {
      expect(verify(request, secrets[round + 1]!)).toBe(round);
      for (const older of secrets.slice(0, round)) expect(() => verify(request, older)).toThrow();
    }
    await receiver.close();
  });

  test('E14 D8: to paused: nothing of what is published afterwards is sent, until it is enabled', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startReceiver();
    const { name } = await subscribeExpress(environment, receiver.url);
    await whileEventsFlow(async () => {
      for (const round of upTo(ROUNDS)) {
        await forgeflow.publish({ topic: name, data: round });
        await receiver.waitForRequests(round + 1);
        await forgeflow.subscriptions.pause(name);
        const { eventId } = await forgeflow.publish({ topic: name, data: 'while it is paused' });
        await untilDispatched(database, eventId);
        await forgeflow.subscriptions.enable(name);
      }
    });
    await untilNoMoreCome(receiver);
    expect(numbersOf(receiver)).toEqual(upTo(ROUNDS));
    await receiver.close();
  });
});

describe('what is handed to an open batch', () => {
  test('E14 D14: of another subscription than it was started for: this one finds it too once it is over, with its details', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const other = await subscribeExpress(environment, receiver.url);
    const held = await openBatch();
    const { handle, subscription: one } = held;
    for (const delivery of await publishNumbers(environment, other, 2))
      expect(await untilOver(forgeflow, delivery)).toMatchObject({ state: 'delivered', attemptCount: 1 });
    expect(await batchesTo(forgeflow, other.name)).toEqual([]);
    expect((await batchesTo(forgeflow, one.name)).map(({ workflowId }) => workflowId)).toEqual([handle.workflowId]);

    const names = expect.arrayContaining([one.name, other.name]) as string[];
    expect(await endOf(held)).toEqual({
      ...{ delivered: 3, retrying: 0, failed: 0, putBack: 0, leftOut: 0 },
      subscriptions: names,
    });
    for (const { name } of [one, other])
      expect((await untilBatchesEnded(forgeflow, name)).map(({ workflowId }) => workflowId)).toEqual([
        handle.workflowId,
      ]);
    const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
    expect(currentDetails).toMatch(/^\*\*3 delivered\*\* to (\w+), (\w+)$/);
    for (const { name } of [one, other]) expect(currentDetails).toContain(name);
    const events = await eventsOf(handle);
    expect(events.filter((event) => event.upsertWorkflowSearchAttributesEventAttributes).length).toBe(1);
    expect(events.length).toBeLessThan(12);
    await receiver.close();
  });

  test('E14 D2 D10: and fails goes on with attempt 2, in a workflow of its own, on the same schedule', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({
      answer: ({ headers }) => (headers['x-forgeflow-attempt'] === '1' ? 503 : 204),
    });
    const subscription = await subscribeExpress(environment, receiver.url);
    const held = await openBatch();
    const deliveries = await publishNumbers(environment, subscription, 4);
    await untilContinued(environment, deliveries);
    for (const { id } of deliveries) {
      const { dateSent, nextAttemptAt, attempts } = await forgeflow.deliveries.show(id);
      expect(attempts).toMatchObject([{ number: 1, statusCode: 503 }]);
      const waits = Date.parse(nextAttemptAt!) - Date.parse(dateSent!);
      expect(waits).toBeGreaterThanOrEqual(5 * MINUTE);
      expect(waits).toBeLessThan(5 * MINUTE + 5_000);
    }
    expect(await endOf(held)).toMatchObject({ delivered: 1, retrying: 4, leftOut: 0 });
    expect(receiver.requests.length).toBe(4);
    for (const { id, handle } of deliveries) {
      await fastForward(forgeflow.temporal, handle.workflowId, 6 * MINUTE);
      expect(await handle.result()).toMatchObject({ state: 'delivered', attemptCount: 2, failureDetail: null });
      const delivery = await forgeflow.deliveries.show(id);
      expectOnSchedule(delivery, 2);
      expect(delivery).toMatchObject({ state: 'delivered', attempts: [{ statusCode: 503 }, { statusCode: 204 }] });
      const requests = receiver.requests.filter(({ headers }) => headers['webhook-id'] === id);
      expect(requests.map(({ headers }) => headers['x-forgeflow-attempt'])).toEqual(['1', '2']);
      for (const request of requests) verify(request, subscription.secret);
    }
    expect(receiver.requests.length).toBe(8);
    await receiver.close();
  });

  test('E14 D6: and is queued again goes out with it once more, as attempt 2 of the same webhook-id', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const held = await openBatch();
    const [delivery] = await publishNumbers(environment, subscription, 1);
    await untilOver(forgeflow, delivery!);
    await forgeflow.deliveries.redeliver(delivery!.id);
    const { attempts } = await untilDelivery(
      forgeflow,
      delivery!.id,
      ({ attemptCount, pending }) => attemptCount === 2 && !pending,
    );
    expect(attempts.map(({ number, statusCode }) => [number, statusCode])).toEqual([
      [1, 200],
      [2, 200],
    ]);
    expect(await endOf(held)).toMatchObject({ delivered: 3, leftOut: 0 });
    expect(idsOf(receiver.requests)).toEqual([delivery!.id, delivery!.id]);
    expect(receiver.requests.map(({ headers }) => headers['x-forgeflow-attempt'])).toEqual(['1', '2']);
    expect(await hasOwnWorkflow(delivery!)).toBe(false);
    await receiver.close();
  });

  test('E14 D13: arrives to the byte, also where it is large', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const held = await openBatch();
    const payloads = ['{ "b" : 1.0e2,\n  "a": "\\u00fc ü 😀", "a": 2 }', JSON.stringify('€'.repeat(300_000)), '{}'];
    for (const data of payloads) await forgeflow.publish({ topic: subscription.name, data, json: true });
    const requests = await receiver.waitForRequests(payloads.length);
    expect(requests.map(({ rawBody }) => rawBody.toString('utf8')).toSorted()).toEqual(payloads.toSorted());
    for (const request of requests) verify(request, subscription.secret);
    expect(await endOf(held)).toMatchObject({ delivered: 4 });
    await receiver.close();
  });

  test('E14: is never more than it has places for; what finds none goes out with others, all of it once', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startHoldingReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const held = await openBatch();
    const deliveries = await publishNumbers(environment, subscription, 350);
    await receiver.waitForRequests(PER_SUBSCRIPTION);
    await untilNoMoreCome(receiver);
    const carried = await database.db
      .selectFrom('deliveries')
      .select(['carrier', sql<number>`count(*)::int`.as('count')])
      .where('state', '=', 'pending')
      .where('carrier', 'is not', null)
      .groupBy('carrier')
      .execute();
    expect(carried.length).toBeGreaterThan(1);
    for (const { count } of carried) expect(count).toBeLessThanOrEqual(BATCH_SIZE);
    receiver.letGo(200);
    await untilCount(forgeflow, subscription.name, 'delivered', 350);
    expect((await endOf(held)).delivered).toBeGreaterThan(1);
    expect(idsOf(receiver.requests).toSorted()).toEqual(deliveries.map(({ id }) => id).toSorted());
    await receiver.close();
  });

  test('E14: while it still reads what is there goes out once', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const [one, other] = await publishTogether(
      environment,
      ['one', 'other'].map((data) => ({ subscription, data })),
    );
    for (const round of [1, 2, 3, 4, 5, 6]) {
      await untilDelivery(forgeflow, one!.id, ({ attemptCount, pending }) => attemptCount === round && !pending);
      await untilDelivery(forgeflow, other!.id, ({ attemptCount, pending }) => attemptCount === round && !pending);
      await untilBatchesEnded(forgeflow, subscription.name);
      // The batch of the one waits for this lock, and whoever hands it the other.
      await database.db.transaction().execute(async (transaction) => {
        await sql`lock table subscription_changes`.execute(transaction);
        for (const [at, { id }] of [one!, other!].entries()) {
          await forgeflow.deliveries.redeliver(id);
          await expect.poll(waitingToRead, { timeout: 10_000 }).toBe(at + 1);
        }
      });
    }
    await untilDelivery(forgeflow, other!.id, ({ attemptCount, pending }) => attemptCount === 7 && !pending);
    await untilNoMoreCome(receiver);
    for (const { id } of [one!, other!]) {
      const requests = receiver.requests.filter(({ headers }) => headers['webhook-id'] === id);
      expect(requests.map(({ headers }) => headers['x-forgeflow-attempt'])).toEqual(upTo(7).map((n) => String(n + 1)));
    }
    await receiver.close();

    async function waitingToRead(): Promise<number> {
      const { rows } = await sql`
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%where delivery.carrier = %'
      `.execute(database.db);
      return rows.length;
    }
  });
});

test.each([300, 1_200])(
  'E14 E12: %i deliveries to an endpoint that hangs keep nothing from another subscription',
  async (hung) => {
    const { forgeflow } = environment;
    const [hanging, healthy] = [await startHoldingReceiver(), await startReceiver()];
    const dead = await subscribeExpress(environment, hanging.url);
    const alive = await subscribeExpress(environment, healthy.url);
    await publishNumbers(environment, dead, hung);
    await hanging.waitForRequests(PER_SUBSCRIPTION);
    for (let n = 0; n < 100; n += 1) {
      await forgeflow.publish({ topic: alive.name, data: Date.now() });
      await sleep(20);
    }
    await healthy.waitForRequests(100);
    expect(hanging.requests.length).toBe(PER_SUBSCRIPTION);
    for (const { receivedAt, rawBody } of healthy.requests)
      expect(receivedAt - Number(rawBody.toString())).toBeLessThan(2_000);
    await untilCount(forgeflow, alive.name, 'delivered', 100);
    expect(new Set(idsOf(healthy.requests)).size).toBe(100);
    expect(healthy.requests.length).toBe(100);
    // Nobody waits for the rest.
    await forgeflow.subscriptions.pause(dead.name);
    hanging.letGo(200);
    await untilBatchesEnded(forgeflow, dead.name);
    await Promise.all([hanging.close(), healthy.close()]);
  },
);
