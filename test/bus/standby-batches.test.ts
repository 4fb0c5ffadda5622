import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { StandbyBatches } from '../../src/bus/standby-batches.ts';
import { OpenBatches } from '../../src/egress/open-batches.ts';
import { connectWorkers, type WorkerConnection } from '../../src/temporal/worker-connection.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { eventsOf } from '../support/history.ts';
import { type RecordingLogger, recordingLogger } from '../support/recording-logger.ts';

/** Longer than a batch counts as being begun that does not open. */
const FORGOTTEN_MS = 1_100;

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

let log: RecordingLogger;
let openBatches: OpenBatches;
let standby: StandbyBatches;
beforeEach(() => {
  log = recordingLogger();
  openBatches = new OpenBatches();
  standby = new StandbyBatches({ temporal: temporal.client, openBatches, logger: log.logger });
  openedBefore();
});
afterEach(() => {
  openBatches.close();
});

/** Without one, others have the work of this process. */
function openedBefore(batches = openBatches): void {
  batches.open(randomUUID(), 0, () => undefined).close();
}

/** A batch that is under way in this process, with so many places; it has something in hand, so it does not end soon. */
function open(places: number): void {
  openBatches.open(randomUUID(), 100 - places, () => undefined);
}

/** Of a name of its own, by which its batches are found. */
function newSubscription(prefix = 's'): { id: string; name: string } {
  const id = randomUUID();
  return { id, name: `${prefix}-${id.slice(0, 8)}` };
}

/** Follows so many deliveries until what it begins is begun. */
async function follow(deliveries: number, ...subscriptions: { id: string; name: string }[]): Promise<void> {
  standby.follow({ deliveries, subscriptions });
  await standby.settled();
}

async function listed(name: string): Promise<WorkflowHandle[]> {
  const { workflow } = environment.forgeflow.temporal;
  const handles: WorkflowHandle[] = [];
  for await (const { workflowId } of workflow.list({ query: `forgeflowSubscriptions = '${name}'` })) {
    handles.push(workflow.getHandle(workflowId));
  }
  return handles;
}

/** So many workflows are a subscription's, when all that were begun by now are in Temporal's list. */
async function begunFor({ name }: { name: string }, count: number): Promise<WorkflowHandle[]> {
  const [later, own] = [newSubscription(), new OpenBatches()];
  openedBefore(own);
  const another = new StandbyBatches({ temporal: temporal.client, openBatches: own, logger: log.logger });
  another.follow({ deliveries: 1, subscriptions: [later] });
  await another.settled();
  await untilListed(later.name, 1);
  return untilListed(name, count);
}

async function untilListed(name: string, count: number): Promise<WorkflowHandle[]> {
  return eventually(async () => {
    const handles = await listed(name);
    expect(handles.length).toBe(count);
    return handles;
  }, 5_000);
}

async function summaryOf(handle: WorkflowHandle): Promise<string> {
  const { raw } = await handle.describe();
  return JSON.parse(Buffer.from(raw.executionConfig?.userMetadata?.summary?.data ?? []).toString()) as string;
}

describe('batches that are begun before they are needed', () => {
  test('E14: are workflows without deliveries, which say of whom these will be most likely', async () => {
    const subscription = newSubscription();
    await follow(3, subscription);
    const [handle] = await begunFor(subscription, 1);
    const { type, status, taskQueue, raw, typedSearchAttributes } = await handle!.describe();
    expect([type, status.name, taskQueue]).toEqual(['deliverFirstAttempts', 'RUNNING', 'egress']);
    expect(raw.workflowExecutionInfo?.priority?.fairnessKey).toBe(subscription.id);
    expect(await summaryOf(handle!)).toBe(`up to 100 at once → ${subscription.name}`);
    expect(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value])).toEqual([
      ['forgeflowSubscriptions', [subscription.name]],
    ]);
    const [begun] = await eventsOf(handle!);
    const [input] = begun?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    const { batchId, deliveryIds } = JSON.parse(Buffer.from(input?.data ?? []).toString()) as Record<string, unknown>;
    expect([`first-attempts/${String(batchId)}`, deliveryIds]).toEqual([handle!.workflowId, []]);
    expect(log.lines).toEqual([]);
  });

  test('E14: may be for many subscriptions, which are named, as many as there is room for', async () => {
    const [one, other] = [newSubscription(), newSubscription()];
    await follow(3, one, other);
    const [handle] = await begunFor(one, 1);
    expect(await summaryOf(handle!)).toBe(`up to 100 at once → ${one.name}, ${other.name}`);
    expect((await begunFor(other, 1)).map(({ workflowId }) => workflowId)).toEqual([handle!.workflowId]);
    expect((await handle!.describe()).raw.workflowExecutionInfo?.priority?.fairnessKey ?? '').toBe('');

    const many = Array.from({ length: 30 }, () => newSubscription('ü'.repeat(50)));
    openBatches = new OpenBatches();
    openedBefore();
    standby = new StandbyBatches({ temporal: temporal.client, openBatches, logger: log.logger });
    await follow(3, ...many);
    const [last] = await begunFor(many[0]!, 1);
    expect(await summaryOf(last!)).toMatch(/^up to 100 at once → ü.* and 29 more$/);
  });

  test.each([
    [1, 1],
    [50, 1],
    [51, 2],
    [200, 4],
  ])('E14: have places for %i deliveries, and for as many again: they are %i', async (deliveries, count) => {
    const subscription = newSubscription();
    standby.follow({ deliveries, subscriptions: [subscription] });
    expect(openBatches.ahead).toBe(count * 100);
    await standby.settled();
    await begunFor(subscription, count);
  });

  test.each([
    [10, 20, 0],
    [10, 19, 1],
    [1, 20, 0],
    [1, 19, 1], // few places are left, however few come
    [40, 80, 0],
    [40, 79, 1],
    [100, 100, 1],
    [100, 99, 2],
  ])('E14: for %i deliveries, with %i places free, are %i', async (deliveries, places, count) => {
    const subscription = newSubscription();
    open(places);
    await follow(deliveries, subscription);
    await begunFor(subscription, count);
  });

  test('E14: are none for no deliveries', async () => {
    const subscription = newSubscription();
    await follow(0, subscription);
    await follow(0);
    expect(openBatches.ahead).toBe(0);
    await begunFor(subscription, 0);
  });

  test('E14: are none where no batch has ever opened: others have the work of this process', async () => {
    const subscription = newSubscription();
    openBatches = new OpenBatches();
    standby = new StandbyBatches({ temporal: temporal.client, openBatches, logger: log.logger });
    await follow(500, subscription);
    expect(openBatches.ahead).toBe(0);
    await begunFor(subscription, 0);
  });

  test('E14: count for the next deliveries as soon as they are being begun', async () => {
    const subscription = newSubscription();
    for (let n = 0; n < 10; n++) standby.follow({ deliveries: 40, subscriptions: [subscription] });
    expect(openBatches.ahead).toBe(100);
    await standby.settled();
    await begunFor(subscription, 1);
  });

  test('E14: are never more than there is room for, however many deliveries come', async () => {
    const [few, none] = [newSubscription(), newSubscription()];
    while (openBatches.room > 2) openBatches.expect(randomUUID(), 0);
    const { ahead } = openBatches;
    for (const one of [few, none]) standby.follow({ deliveries: 10_000, subscriptions: [one] });
    expect([openBatches.ahead, openBatches.room]).toEqual([ahead + 200, 0]);
    await standby.settled();
    await begunFor(few, 2);
    await begunFor(none, 0);
  });
});

describe('while Temporal is away', () => {
  /** Follows as long as no call gets through. */
  const followInVain = (...input: Parameters<typeof follow>) =>
    temporal.client.withDeadline(Date.now() - 1_000, () => follow(...input));

  test('E8, E14: none is begun, nobody hears of it, and nothing is left of those that were to be', async () => {
    const subscription = newSubscription();
    await followInVain(150, subscription);
    await begunFor(subscription, 0);
    await sleep(FORGOTTEN_MS);
    expect([openBatches.ahead, log.lines]).toEqual([0, []]);
    await standby.settled();
  });

  test('E8, E14: those of later deliveries are begun when it is there again', async () => {
    const [before, after] = [newSubscription(), newSubscription()];
    await followInVain(20, before);
    await sleep(FORGOTTEN_MS);
    await follow(20, after);
    await begunFor(after, 1);
    await begunFor(before, 0);
    expect(log.lines).toEqual([]);
  });
});

test('E14: what Temporal does not take is told, and disturbs nobody', async () => {
  const nonsense = { id: randomUUID(), name: 'x'.repeat(3_000) }; // a search attribute has 2 KiB at most
  await follow(1, nonsense);
  expect(log.messages('ERROR')).toEqual(['no batch could be begun']);
});

test('E14: to wait for what is being begun waits for nothing where that is nothing', async () => {
  await standby.settled();
  await follow(0, newSubscription());
  expect(log.lines).toEqual([]);
});
