import { createHmac } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  deliverTo,
  deliveryOf,
  publishTo,
  resultOf,
  subscribe,
  untilClosed,
  untilDelivery,
} from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { activitiesOf, eventsOf } from '../support/history.ts';
import { startReceiver, type Receiver, verify } from '../support/receiver.ts';

let environment: Environment;
let receiver: Receiver;
beforeAll(async () => {
  [environment, receiver] = await Promise.all([startEnvironment(), startReceiver()]);
});
afterAll(async () => {
  await environment.stop();
  await receiver.close();
});

/** The requests that were made for a delivery. */
const requestsOf = (id: string) => receiver.requests.filter(({ headers }) => headers['webhook-id'] === id);

test('D1 D15 a delivery that gets through at once is one attempt and fewer than 12 events', async () => {
  const { forgeflow } = environment;
  const { id, handle } = await deliverTo(forgeflow, receiver.url);
  expect(handle.workflowId).toBe(`delivery/${id}`);
  expect(await resultOf({ handle })).toMatchObject({ state: 'delivered', attemptCount: 1, nextAttemptAt: null });
  expect((await eventsOf(handle)).length).toBeLessThan(12);
  expect(await activitiesOf(handle)).toBe(1);
  expect(requestsOf(id).length).toBe(1);
});

test('D4 it shows all there is to know, before and after', async () => {
  const { forgeflow } = environment;
  const held = await startReceiver({
    answer: { delayMs: 500, status: 201, headers: { 'x-answer': 'yes' }, body: 'thank you' },
  });
  const before = Date.now();
  const data = { 'a key': [1, 'zwei', null, { ü: '日本' }] };
  const { id, topic, subscription } = await deliverTo(forgeflow, held.url, { data });
  await held.waitForRequests(1);
  expect(await forgeflow.deliveries.show(id)).toMatchObject({
    state: 'pending',
    pending: true,
    successful: null,
    failureDetail: null,
    attemptCount: 0,
    dateFirstSent: null,
    dateSent: null,
    attempts: [],
  });

  const { dateCreated, dateSent, eventId, attempts, ...delivery } = await untilDelivery(
    forgeflow,
    id,
    ({ pending }) => !pending,
  );
  expect(delivery).toEqual({
    id,
    topic,
    subscription: subscription.name,
    state: 'delivered',
    pending: false,
    successful: true,
    failureDetail: null,
    attemptCount: 1,
    dateFirstSent: dateSent,
    nextAttemptAt: null,
    payload: data,
  });
  expect(attempts).toEqual([
    {
      number: 1,
      sentAt: dateSent,
      durationMs: expect.any(Number) as number,
      statusCode: 201,
      connectionError: null,
      responseHeaders: expect.objectContaining({ 'x-answer': 'yes' }) as object,
      responseBody: 'thank you',
      truncated: false,
    },
  ]);
  expect(attempts[0]!.durationMs).toBeGreaterThanOrEqual(490);
  expect(Date.parse(dateCreated)).toBeGreaterThanOrEqual(before);
  expect(held.requests[0]!.headers['x-forgeflow-event-id']).toBe(eventId);
  expect((await forgeflow.deliveries.list({ subscription: subscription.name, state: 'delivered' })).length).toBe(1);
  expect((await forgeflow.deliveries.list({ subscription: subscription.name, state: 'failed' })).length).toBe(0);
  await held.close();
});

describe('D10 the request', () => {
  test('is signed as a receiver with the standardwebhooks package expects, and says what it is about', async () => {
    const { forgeflow } = environment;
    const secret = `whsec_${Buffer.from('a secret of 32 bytes, to be sure').toString('base64')}`;
    const { id, topic, handle } = await deliverTo(forgeflow, receiver.url, {
      secret,
      headers: { 'X-Token': 'of the subscription' },
      data: { n: 1 },
    });
    await untilClosed({ handle });
    const [request] = requestsOf(id);
    expect(verify(request!, secret)).toEqual({ n: 1 });
    expect(() => verify(request!, `whsec_${Buffer.alloc(32).toString('base64')}`)).toThrow();
    expect(request).toMatchObject({ method: 'POST', path: '/hook' });
    expect(request!.headers).toMatchObject({
      'content-type': 'application/json',
      'webhook-id': id,
      'x-forgeflow-topic': topic,
      'x-forgeflow-attempt': '1',
      'x-token': 'of the subscription',
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update('{"n":1}').digest('hex')}`,
      'user-agent': expect.stringMatching(/^forgeflow\/\d+\.\d+\.\d+/) as string,
    });
  });

  test('has the bytes that were published', async () => {
    const { forgeflow } = environment;
    const subscription = await subscribe(forgeflow, receiver.url);
    const json = '{ "b" : 1.0e2,\n  "a": "\\u00fc ü 😀", "a": 2 }';
    const { eventId } = await forgeflow.publish({ topic: subscription.name, data: json, json: true });
    const delivery = await deliveryOf(forgeflow, eventId, subscription.name);
    await untilDelivery(forgeflow, delivery.id, ({ pending }) => !pending);
    expect(requestsOf(delivery.id)[0]!.rawBody.toString('utf8')).toBe(json);
  });

  test('is signed by both secrets for 24 h after a rotation, then by the new one alone', async () => {
    const { forgeflow, database } = environment;
    const subscription = await subscribe(forgeflow, receiver.url);
    const { secret: fresh } = await forgeflow.subscriptions.rotateSecret(subscription.name);
    expect(fresh).not.toBe(subscription.secret);

    const during = await publishTo(forgeflow, subscription, { when: 'during' });
    await untilClosed(during);
    const [both] = requestsOf(during.id);
    expect(String(both!.headers['webhook-signature']).split(' ').length).toBe(2);
    expect([verify(both!, fresh), verify(both!, subscription.secret)]).toEqual([
      { when: 'during' },
      { when: 'during' },
    ]);

    const { previous_secret_expires_at: expiry } = await database.db
      .selectFrom('subscriptions')
      .select('previous_secret_expires_at')
      .where('id', '=', subscription.id)
      .executeTakeFirstOrThrow();
    expect(Math.abs(expiry!.getTime() - Date.now() - 24 * 3_600_000)).toBeLessThan(60_000);
    await database.db
      .updateTable('subscriptions')
      .set({ previous_secret_expires_at: new Date(Date.now() - 1_000) })
      .where('id', '=', subscription.id)
      .execute();
    const after = await publishTo(forgeflow, subscription, { when: 'after' });
    await untilClosed(after);
    const [one] = requestsOf(after.id);
    expect(verify(one!, fresh)).toEqual({ when: 'after' });
    expect(() => verify(one!, subscription.secret)).toThrow();
  });
});

test('a subscription keeps its books', async () => {
  const { forgeflow } = environment;
  const flaky = await startReceiver({ answer: 500 });
  const { id, subscription } = await deliverTo(forgeflow, flaky.url);
  const books = async () => forgeflow.subscriptions.show(subscription.name);
  await expect.poll(books).toMatchObject({
    consecutiveFailures: 1,
    lastSuccessAt: null,
    lastFailureAt: expect.any(String) as string,
    lastError: 'Bad HTTP response: 500',
  });
  flaky.answerWith(200);
  await forgeflow.deliveries.retry(id);
  await expect
    .poll(books)
    .toMatchObject({ consecutiveFailures: 0, lastSuccessAt: expect.any(String) as string, lastError: null });
  await flaky.close();
});
