import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeliveryWithAttempts, SubscriptionWithSecret } from '../../src/index.ts';
import { untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import {
  batchesTo,
  hasOwnWorkflow,
  publishTogether,
  subscribeExpress,
  untilContinued,
  untilOver,
} from '../support/express.ts';
import { type AnyAnswer, type ReceivedRequest, startReceiver, verify } from '../support/receiver.ts';
import { startNastyReceiver } from '../support/nasty-receivers.ts';

const MEBIBYTE = 1024 * 1024;
const TIMEOUT_MS = 1_500;

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({
    timeoutMs: TIMEOUT_MS,
    intervals: { poll: 100 },
    settings: { BREAKER_FAILURES: '1000' },
  });
});
afterAll(() => environment.stop());

const LANES = ['workflow', 'express'] as const;
const text = expect.any(String) as string;
const number = expect.any(Number) as number;

/** What a delivery shows, but for what no two deliveries have in common. */
function comparable({ attempts, ...delivery }: DeliveryWithAttempts): unknown {
  const { dateCreated, dateFirstSent, dateSent, nextAttemptAt } = delivery;
  expect(dateFirstSent).toBe(dateSent);
  expect(attempts[0]?.sentAt).toBe(dateSent);
  expect(Date.parse(dateCreated)).toBeLessThanOrEqual(Date.parse(dateSent!));
  return {
    ...delivery,
    id: text,
    subscription: text,
    topic: text,
    eventId: text,
    dateCreated: text,
    dateFirstSent: text,
    dateSent: text,
    nextAttemptAt: nextAttemptAt === null ? null : text,
    attempts: attempts.map((attempt) => ({
      ...attempt,
      sentAt: text,
      durationMs: number,
      responseHeaders: attempt.responseHeaders === null ? null : Object.keys(attempt.responseHeaders).sort(),
    })),
  };
}

/** What a receiver got, but for what no two requests have in common. */
function comparableRequest({ headers, rawBody, method, path }: ReceivedRequest): unknown {
  const own = ['webhook-id', 'webhook-timestamp', 'webhook-signature', 'x-forgeflow-topic', 'x-forgeflow-event-id'];
  const shown = Object.entries(headers).map(([name, value]) => [name, own.includes(name) ? text : value]);
  return { method, path, body: rawBody.toString('utf8'), headers: Object.fromEntries(shown) as unknown };
}

describe('the same in each lane', () => {
  const secret = `whsec_${Buffer.from('a secret of 32 bytes, to be sure').toString('base64')}`;
  const data = { 'a key': [1, 'zwei', null, { ü: '日本' }] };

  test.each<[string, AnyAnswer | undefined]>([
    ['a success', { status: 201, headers: { 'x-answer': 'yes', 'set-cookie': ['a=1', 'b=2'] }, body: 'thank you' }],
    ['a body above 64 KiB, with bytes that are no UTF-8', { body: Buffer.alloc(70_000, 'ü€\xff', 'latin1') }],
    ['a bad answer', { status: 503, headers: { 'retry-after': '900' }, body: 'not now' }],
    ['a gone receiver', { status: 410, body: 'never again' }],
    ['no answer', 'never'],
    ['a receiver that is not there', undefined],
  ])('E14 D4 D10 D13: what is recorded of %s, and what was received', async (_what, answer) => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: answer ?? 200 });
    if (answer === undefined) await receiver.close();
    const shown: unknown[] = [];
    for (const lane of LANES) {
      const headers = { 'X-Token': 'of the subscription' };
      const subscription = await subscribeExpress(environment, receiver.url, { lane, secret, headers });
      const [delivery] = await publishTogether(environment, [{ subscription, data }]);
      const { id } = delivery!;
      const after = await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 1);
      expect(after.payload).toEqual(data);
      shown.push(comparable(after));
      if (after.pending) await untilContinued(environment, [delivery!]);
      expect(await hasOwnWorkflow(delivery!)).toBe(after.pending || lane === 'workflow');
      if (answer === undefined) continue;
      const request = receiver.requests.at(-1)!;
      expect(verify(request, secret)).toEqual(data);
      expect(request.headers).toMatchObject({
        'webhook-id': id,
        'x-forgeflow-topic': after.topic,
        'x-forgeflow-event-id': after.eventId,
      });
    }
    expect(shown[1]).toEqual(shown[0]);
    const requests = receiver.requests.map(comparableRequest);
    expect(requests.length).toBe(answer === undefined ? 0 : 2);
    expect(requests[1]).toEqual(requests[0]);
    if (answer !== undefined) await receiver.close();
  });

  test('E14 D4: what `list` says of them', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver({ answer: ({ rawBody }) => Number(rawBody.toString()) });
    const said = [];
    for (const lane of LANES) {
      const subscription = await subscribeExpress(environment, receiver.url, { lane });
      const [good, bad] = await publishTogether(environment, [
        { subscription, data: 200 },
        { subscription, data: 500 },
      ]);
      await untilOver(forgeflow, good!);
      await untilContinued(environment, [bad!]);
      const list = (state: 'delivered' | 'pending' | 'failed') =>
        forgeflow.deliveries.list({ subscription: subscription.name, topic: subscription.name, state });
      expect((await list('delivered')).map(({ id }) => id)).toEqual([good!.id]);
      expect((await list('pending')).map(({ id }) => id)).toEqual([bad!.id]);
      expect(await list('failed')).toEqual([]);
      said.push([...(await list('delivered')), ...(await list('pending'))].map((one) => Object.keys(one)));
    }
    expect(said[1]).toEqual(said[0]);
    await receiver.close();
  });
});

describe('the request of a batch', () => {
  test('E14 D10: is signed by both secrets for 24 h after a rotation, then by the new one alone', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const { secret: fresh } = await forgeflow.subscriptions.rotateSecret(subscription.name);
    expect(await sent('during')).toEqual(['during', 'during']);
    expect(String(receiver.requests[0]!.headers['webhook-signature']).split(' ').length).toBe(2);
    await database.db
      .updateTable('subscriptions')
      .set({ previous_secret_expires_at: new Date(Date.now() - 1_000) })
      .where('id', '=', subscription.id)
      .execute();
    await database.db // or workers would know it as it was, for a second
      .updateTable('subscription_changes')
      .set({ version: sql`version + 1` })
      .execute();
    expect(await sent('after')).toEqual(['after', undefined]);
    await receiver.close();

    /** What whoever has the new secret, and whoever has the old one, makes of the request. */
    async function sent(data: string): Promise<unknown[]> {
      const [delivery] = await publishTogether(environment, [{ subscription, data }]);
      await untilOver(forgeflow, delivery!);
      const request = receiver.requests.find(({ headers }) => headers['webhook-id'] === delivery!.id)!;
      return [fresh, subscription.secret].map((secret) => {
        try {
          return verify(request, secret);
        } catch {
          return undefined;
        }
      });
    }
  });

  test('E14 D11: is not made where the address is not allowed; others of the batch go out', async () => {
    const { forgeflow, database } = environment;
    const receiver = await startReceiver();
    const good = await subscribeExpress(environment, receiver.url);
    const bad = await subscribeExpress(environment, receiver.url);
    // As one that was allowed when it was made.
    await database.db
      .updateTable('subscriptions')
      .set({ url: 'http://169.254.169.254/latest/meta-data' })
      .where('id', '=', bad.id)
      .execute();
    const [one, other] = await publishTogether(
      environment,
      [good, bad].map((subscription) => ({ subscription, data: 1 })),
    );
    expect(await untilOver(forgeflow, one!)).toMatchObject({ state: 'delivered' });
    expect(await untilDelivery(forgeflow, other!.id, ({ attemptCount }) => attemptCount === 1)).toMatchObject({
      pending: true,
      failureDetail: 'Connection error: address not allowed',
    });
    await receiver.close();
  });

  test('E14 D13: has a payload of 1 MiB to the byte, and one of many bytes a character', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const subscription = await subscribeExpress(environment, receiver.url);
    const payloads = [
      JSON.stringify('x'.repeat(MEBIBYTE - 2)),
      `"${'€'.repeat((MEBIBYTE - 4) / 3)}"`,
      '{ "b" : 1.0e2,\n  "a": "\\u00fc ü 😀", "a": 2 }',
    ];
    for (const data of payloads) {
      const { eventId } = await forgeflow.publish({ topic: subscription.name, data, json: true });
      const find = () => receiver.requests.find(({ headers }) => headers['x-forgeflow-event-id'] === eventId);
      await expect.poll(find, { timeout: 10_000 }).toBeDefined();
      const request = find()!;
      expect(request.rawBody.equals(Buffer.from(data))).toBe(true);
      expect(verify(request, subscription.secret)).toEqual(JSON.parse(data));
    }
    expect(receiver.requests[0]!.rawBody.length).toBe(MEBIBYTE);
    const tooLarge = forgeflow.publish({ topic: subscription.name, data: 'x'.repeat(MEBIBYTE - 1) });
    await expect(tooLarge).rejects.toMatchObject({ name: 'Refusal' });
    await receiver.close();
  });

  test.each([
    ['has a body without end', { attempts: [{ statusCode: 200, truncated: true }] }, 'delivered'],
    ['never answers', { attempts: [{ connectionError: `timed out after ${TIMEOUT_MS} ms` }] }, 'pending'],
    ['drips its headers', { attempts: [{ connectionError: `timed out after ${TIMEOUT_MS} ms` }] }, 'pending'],
    ['resets after the request', { attempts: [{ statusCode: null }] }, 'pending'],
    ['sends a gzip bomb', { attempts: [{ statusCode: 200 }] }, 'delivered'],
  ] as const)(
    'E14 D3 D13: to a receiver that %s counts as it does in the other lane',
    async (behaviour, wanted, state) => {
      const { forgeflow } = environment;
      const shown: DeliveryWithAttempts[] = [];
      for (const lane of LANES) {
        const receiver = await startNastyReceiver(behaviour);
        const subscription = await subscribeExpress(environment, receiver.url, { lane });
        const [delivery] = await publishTogether(environment, [{ subscription, data: 1 }]);
        shown.push(await untilDelivery(forgeflow, delivery!.id, ({ attemptCount }) => attemptCount === 1));
        await receiver.close();
      }
      for (const one of shown) expect(one).toMatchObject({ ...wanted, state });
      expect(shown[1]!.failureDetail).toBe(shown[0]!.failureDetail);
      for (const { attempts } of shown)
        expect(Buffer.byteLength(attempts[0]!.responseBody ?? '')).toBeLessThanOrEqual(3 * 64 * 1024);
    },
  );
});

describe('E11 in the express lane', () => {
  const subscribed = async (): Promise<[Awaited<ReturnType<typeof startReceiver>>, SubscriptionWithSecret]> => {
    const receiver = await startReceiver();
    return [receiver, await subscribeExpress(environment, receiver.url)];
  };

  test('E14 E11 D7: a ping goes in a batch', async () => {
    const { forgeflow } = environment;
    const [receiver, { name, secret }] = await subscribed();
    const { deliveryId } = await forgeflow.subscriptions.ping(name);
    expect(await untilOver(forgeflow, { id: deliveryId })).toMatchObject({ topic: 'ping', state: 'delivered' });
    expect(verify(receiver.requests[0]!, secret)).toEqual({ ping: true });
    await expect.poll(async () => (await batchesTo(forgeflow, name)).length).toBe(1);
    await receiver.close();
  });

  test('E14 E11: a test is one request, also when paused, and leaves no delivery and no books', async () => {
    const { forgeflow } = environment;
    const [receiver, { name }] = await subscribed();
    await forgeflow.subscriptions.pause(name);
    const before = await forgeflow.subscriptions.show(name);
    expect(await forgeflow.subscriptions.test(name)).toMatchObject({ successful: true });
    expect(receiver.requests.map(({ headers }) => headers['x-forgeflow-topic'])).toEqual(['test.ping']);
    expect(await forgeflow.deliveries.list({ subscription: name })).toEqual([]);
    expect(await forgeflow.subscriptions.show(name)).toEqual(before);
    await receiver.close();
  });
});
