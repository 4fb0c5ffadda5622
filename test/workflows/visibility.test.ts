import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deliveryStatusQuery } from '../../workflows/messages.ts';
import {
  attempted,
  deliverTo,
  deliveryOf,
  type DeliveryHandle,
  publishTo,
  subscribe,
  untilClosed,
} from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { historyText } from '../support/history.ts';
import { type Receiver, startReceiver } from '../support/receiver.ts';

let environment: Environment;
let receiver: Receiver;
beforeAll(async () => {
  [environment, receiver] = await Promise.all([startEnvironment(), startReceiver()]);
});
afterAll(async () => {
  await environment.stop();
  await receiver.close();
});

/** Waits until the visibility store has it: it lags. */
async function expectFound(query: string, workflowIds: string[]): Promise<void> {
  const find = async (): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { workflowId } of environment.forgeflow.temporal.workflow.list({ query })) ids.push(workflowId);
    return ids.sort();
  };
  await expect.poll(find, { timeout: 5_000, interval: 50 }).toEqual([...workflowIds].sort());
}

async function currentDetails(handle: DeliveryHandle): Promise<string> {
  return (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;
}

describe('D14 deliveries are found', () => {
  test('by subscription, topic and state', async () => {
    const { forgeflow } = environment;
    receiver.answerWith(({ rawBody }) => Number(rawBody.toString()));
    const subscription = await subscribe(forgeflow, receiver.url);
    const good = await publishTo(forgeflow, subscription, 200);
    const bad = await publishTo(forgeflow, subscription, 500);
    const cancelled = await publishTo(forgeflow, subscription, 500);
    await Promise.all([attempted(bad, 1), attempted(cancelled, 1)]);
    const gone = await publishTo(forgeflow, await subscribe(forgeflow, receiver.url), 410);
    await Promise.all([untilClosed(good), untilClosed(gone)]);
    await forgeflow.deliveries.cancel(cancelled.id);
    const all = [good, bad, cancelled].map(({ handle }) => handle.workflowId);

    const of = `forgeflowSubscription = '${subscription.name}'`;
    await expectFound(of, all);
    await expectFound(`forgeflowTopic = '${subscription.name}'`, all);
    await expectFound(`${of} AND forgeflowState = 'delivered'`, [good.handle.workflowId]);
    await expectFound(`${of} AND forgeflowState = 'pending'`, [bad.handle.workflowId]);
    await expectFound(`${of} AND forgeflowState = 'cancelled'`, [cancelled.handle.workflowId]);
    await expectFound(`forgeflowTopic = '${gone.topic}' AND forgeflowState = 'failed'`, [gone.handle.workflowId]);

    receiver.answerWith(200);
    await forgeflow.deliveries.retry(bad.id);
    await expectFound(`${of} AND forgeflowState = 'pending'`, []);
    await expectFound(`${of} AND forgeflowState = 'delivered'`, [good.handle.workflowId, bad.handle.workflowId]);
  });

  test('also by a subscription name with every character that names may have', async () => {
    const { forgeflow } = environment;
    receiver.answerWith(200);
    const subscription = await subscribe(forgeflow, receiver.url, { name: 'Größe 日本 1.0_@/+-x', patterns: ['>'] });
    const { eventId } = await forgeflow.publish({ topic: 'a.b', data: 1 });
    const delivery = await deliveryOf(forgeflow, eventId, subscription.name);
    await expectFound(`forgeflowSubscription = '${subscription.name}'`, [`delivery/${delivery.id}`]);
    await forgeflow.subscriptions.delete(subscription.name);
  });
});

describe('D14 a workflow tells', () => {
  test('in a line what it is, in a text where it stands, and both to a query', async () => {
    const { forgeflow } = environment;
    receiver.answerWith(503);
    const delivery = await deliverTo(forgeflow, receiver.url);
    await attempted(delivery, 1);
    const { handle, topic, subscription } = delivery;
    const description = await handle.describe();
    expect(await description.staticSummary()).toBe(`${topic} → ${subscription.name} (127.0.0.1:${receiver.port})`);

    const status = await handle.query(deliveryStatusQuery);
    expect(status).toMatchObject({ state: 'pending', attemptCount: 1, failureDetail: 'Bad HTTP response: 503' });
    expect(await currentDetails(handle)).toBe(
      [
        '**pending** after 1 attempt',
        `last attempt: ${status.lastAttemptAt!}`,
        'last outcome: Bad HTTP response: 503',
        `next attempt: ${status.nextAttemptAt!}`,
      ].join('\n\n'),
    );

    receiver.answerWith(200);
    await forgeflow.deliveries.retry(delivery.id);
    const { lastAttemptAt } = await handle.result();
    expect(await currentDetails(handle)).toBe(`**delivered** after 2 attempts\n\nlast attempt: ${lastAttemptAt!}`);
  });

  test('nobody what a secret is: none, no payload, header, path or query stands in its history or description', async () => {
    const { forgeflow } = environment;
    receiver.answerWith({
      status: 500,
      headers: { 'x-answer': 'answer-header-value' },
      body: 'answer-body-value',
    });
    const url = receiver.url.replace('/hook', '/path-that-is-secret?token=query-that-is-secret');
    const delivery = await deliverTo(forgeflow, url, {
      data: { key: 'payload-value' },
      headers: { 'x-api-key': 'header-value-of-subscription' },
    });
    await attempted(delivery, 1);
    receiver.answerWith(200);
    await forgeflow.deliveries.retry(delivery.id);
    await delivery.handle.result();
    await forgeflow.subscriptions.test(delivery.subscription.name);

    const texts = [JSON.stringify((await delivery.handle.describe()).raw), await currentDetails(delivery.handle)];
    const { temporal } = forgeflow;
    for await (const { workflowId } of temporal.workflow.list()) {
      texts.push(await historyText(temporal.workflow.getHandle(workflowId)));
    }
    expect(texts.join('\n')).toContain('Bad HTTP response: 500'); // it does look into the payloads
    for (const secret of [
      'payload-value',
      'header-value-of-subscription',
      'path-that-is-secret',
      'query-that-is-secret',
      'answer-header-value',
      'answer-body-value',
      'whsec_',
      delivery.subscription.secret.slice('whsec_'.length),
      environment.config.secretsKey!,
      environment.database.url,
    ]) {
      expect(texts.join('\n')).not.toContain(secret);
    }
  });
});
