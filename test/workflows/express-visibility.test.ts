import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { firstAttemptsWorkflowId } from '../../src/domain/first-attempts.ts';
import type { SubscriptionWithSecret } from '../../src/index.ts';
import { untilClosed, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import {
  batchesTo,
  hasOwnWorkflow,
  publishNumbers,
  publishTogether,
  subscribeExpress,
  untilContinued,
  untilCount,
  untilOver,
} from '../support/express.ts';
import { historyText } from '../support/history.ts';
import { idsOf, startHoldingReceiver, untilNoMoreCome } from '../support/holding-receiver.ts';
import { startReceiver } from '../support/receiver.ts';

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    timeoutMs: 20_000,
    intervals: { poll: 100, strays: 300 },
    settings: { BREAKER_FAILURES: '1000' },
  });
});
afterAll(() => environment.stop());
// One that an earlier test has left open would take what is published here.
beforeEach(async () => {
  const query = `WorkflowType = 'deliverFirstAttempts' AND ExecutionStatus = 'Running'`;
  const { workflow } = environment.forgeflow.temporal;
  await expect.poll(async () => (await workflow.count(query)).count, { timeout: 10_000 }).toBe(0);
});

/** Waits until the only batch to a subscription is visible. */
async function batchTo({ name }: SubscriptionWithSecret): Promise<WorkflowHandle> {
  const { forgeflow } = environment;
  return eventually(async () => {
    const [batch] = await batchesTo(forgeflow, name);
    if (batch === undefined) throw new Error(`there is no batch to "${name}"`);
    return forgeflow.temporal.workflow.getHandle(batch.workflowId);
  });
}

/** The ids of the batches that its deliveries are in. */
async function batchesOf({ id }: SubscriptionWithSecret): Promise<string[]> {
  const rows = await environment.database.db
    .selectFrom('deliveries')
    .select('carrier')
    .distinct()
    .where('subscription_id', '=', id)
    .where('carrier', 'is not', null)
    .execute();
  return rows.map(({ carrier }) => carrier!);
}

async function detailsOf(handle: WorkflowHandle): Promise<string> {
  return (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;
}

describe('D14 a batch in the Web UI', () => {
  test('E14 D14: says how many go to whom, how far it is, and what came of it; each of its subscriptions finds it', async () => {
    const { forgeflow } = environment;
    const receiver = await startHoldingReceiver();
    const failing = await startHoldingReceiver();
    const one = await subscribeExpress(environment, receiver.url);
    const other = await subscribeExpress(environment, failing.url);
    const deliveries = await publishTogether(
      environment,
      [one, one, other].map((subscription) => ({ subscription, data: 'payload-value' })),
    );
    await receiver.waitForRequests(2);
    const handle = await batchTo(one);
    expect((await batchTo(other)).workflowId).toBe(handle.workflowId);
    expect(handle.workflowId).toMatch(/^first-attempts\/[0-9a-f-]{36}$/);
    const summary = await (await handle.describe()).staticSummary();
    expect(summary).toMatch(/^up to 100 at once → /);
    for (const { name } of [one, other]) expect(summary).toContain(name);
    expect(await detailsOf(handle)).toBe(
      '**first attempts** are under way, up to 100 at once; it began with 3 deliveries',
    );

    receiver.letGo(200);
    failing.letGo(500);
    expect(await handle.result()).toEqual({
      ...{ delivered: 2, retrying: 1, failed: 0, putBack: 0, leftOut: 0 },
      subscriptions: expect.arrayContaining([one.name, other.name]) as string[],
    });
    const details = await detailsOf(handle);
    expect(details).toMatch(/^\*\*2 delivered\*\* to .+\n\n1 go on to retry, each in a workflow of its own$/);
    for (const { name } of [one, other]) expect(details).toContain(name);
    await untilContinued(environment, [deliveries[2]!]);
    const description = await deliveries[2]!.handle.describe();
    expect(await description.staticSummary()).toContain(`${other.name} → ${other.name}`);
    expect(await detailsOf(deliveries[2]!.handle)).toContain('**pending** after 1 attempt');
    const pending = `forgeflowSubscription = '${other.name}' AND forgeflowState = 'pending'`;
    await expect.poll(async () => (await forgeflow.temporal.workflow.count(pending)).count).toBe(1);

    const text = [await historyText(handle), JSON.stringify((await handle.describe()).raw)].join('\n');
    for (const secret of ['payload-value', 'whsec_', one.secret.slice('whsec_'.length), receiver.url]) {
      expect(text).not.toContain(secret);
    }
    await deliveries[2]!.handle.terminate();
    await Promise.all([receiver.close(), failing.close()]);
  });

  test('E14 D14: to very many subscriptions still has a summary that fits', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscriptions = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        subscribeExpress(environment, receiver.url, { name: `${'ü'.repeat(60)}${n}`, patterns: [`many.${n}`] }),
      ),
    );
    await environment.database.db
      .insertInto('events')
      .values(subscriptions.map((_subscription, n) => ({ topic: `many.${n}`, payload: '1' })))
      .execute();
    for (const { name } of subscriptions) await untilCount(forgeflow, name, 'delivered', 1);
    const query = `WorkflowType = 'deliverFirstAttempts'`;
    const summaries: string[] = [];
    for await (const { workflowId } of forgeflow.temporal.workflow.list({ query })) {
      summaries.push(
        (await (await forgeflow.temporal.workflow.getHandle(workflowId).describe()).staticSummary()) ?? '',
      );
    }
    expect(summaries).toContainEqual(expect.stringMatching(/^up to 100 at once → ü{60}\d+(, .*)? and \d+ more$/));
    await receiver.close();
  });
});

describe('a batch that somebody ends in the Web UI', () => {
  test('E14: cancelled, it lets through what is on its way, puts back the rest, and all of it arrives, once', async () => {
    const { forgeflow } = environment;
    const receiver = await startHoldingReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, 40);
    await receiver.waitForRequests(1);
    const handle = await batchTo(subscription);
    await handle.cancel();
    await sleep(6_000); // it hears of that when its workflow task is renewed, every 4 s
    const sent = receiver.requests.length;
    expect(sent).toBeLessThan(40);
    receiver.letGo(200);
    await untilCount(forgeflow, subscription.name, 'delivered', 40);
    expect(idsOf(receiver.requests).toSorted()).toEqual(deliveries.map(({ id }) => id).toSorted());
    await eventually(async () => {
      const { status } = await handle.describe();
      if (status.name === 'RUNNING') throw new Error('it is still running');
    });
    await expect.poll(async () => (await batchesTo(forgeflow, subscription.name)).length).toBeGreaterThan(1);
    await receiver.close();
  });

  test('E14: terminated, what it had not recorded goes out again after the time of strays', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startHoldingReceiver((_request, index) => index < 10);
    const subscription = await subscribeExpress(environment, receiver.url);
    const deliveries = await publishNumbers(environment, subscription, 30);
    await untilCount(forgeflow, subscription.name, 'delivered', 10);
    await untilNoMoreCome(receiver);
    for (const id of await batchesOf(subscription))
      await forgeflow.temporal.workflow.getHandle(firstAttemptsWorkflowId(id)).terminate('by hand');
    await sleep(3_500); // while it was open it would have taken them again
    const done = idsOf(receiver.requests.slice(0, 10));
    await database.db
      .updateTable('deliveries')
      .set({ started_at: new Date(Date.now() - 60_000) })
      .where('subscription_id', '=', subscription.id)
      .where('state', '=', 'pending')
      .execute();
    await expect.poll(async () => (await batchesTo(forgeflow, subscription.name)).length).toBeGreaterThan(1);
    receiver.letGo(200);
    await untilCount(forgeflow, subscription.name, 'delivered', 30);
    const ids = idsOf(receiver.requests);
    expect(new Set(ids)).toEqual(new Set(deliveries.map(({ id }) => id)));
    expect(ids.filter((id) => done.includes(id)).length).toBe(10);
    for (const delivery of deliveries) {
      expect(await forgeflow.deliveries.show(delivery.id)).toMatchObject({
        attemptCount: 1,
        attempts: [{ number: 1 }],
      });
    }
    await receiver.close();
  });
});

test('E14 E7 D5: a subscription of the batch that cannot be read goes out with a workflow that says so; the others go out', async () => {
  const { forgeflow, database } = environment;
  const receiver = await startReceiver();
  const good = await subscribeExpress(environment, receiver.url);
  const broken = await subscribeExpress(environment, receiver.url);
  const row = database.db.selectFrom('subscriptions').select('secret_sealed').where('id', '=', broken.id);
  const { secret_sealed } = await row.executeTakeFirstOrThrow();
  const seal = (sealed: Buffer) =>
    database.db.updateTable('subscriptions').set({ secret_sealed: sealed }).where('id', '=', broken.id).execute();
  await seal(Buffer.from('no seal at all'));
  const deliveries = await publishTogether(
    environment,
    [good, broken, good].map((subscription) => ({ subscription, data: subscription.name })),
  );
  const [one, bad, two] = deliveries;
  for (const delivery of [one!, two!])
    expect(await untilOver(forgeflow, delivery)).toMatchObject({ state: 'delivered' });
  const failure = await eventually(async () => {
    const { raw } = await bad!.handle.describe();
    const [activity] = raw.pendingActivities ?? [];
    if (!activity?.lastFailure) throw new Error('nothing has failed');
    return activity.lastFailure;
  });
  expect(failure.applicationFailureInfo?.type).toBe('WebhookDeliveryRetry');
  expect(await forgeflow.deliveries.show(bad!.id)).toMatchObject({
    pending: true,
    attemptCount: 0,
    dateFirstSent: null,
  });
  expect(await hasOwnWorkflow(one!)).toBe(false);

  await seal(secret_sealed);
  await untilDelivery(forgeflow, bad!.id, ({ state, attemptCount }) => state === 'delivered' && attemptCount === 1);
  expect(await untilClosed(bad!)).toBe('COMPLETED');
  expect(receiver.requests.length).toBe(3);
  await receiver.close();
});
