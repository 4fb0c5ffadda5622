import { randomBytes } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestSends, type TestSendResult } from '../../activities/test-sends.ts';
import { disableSubscription } from '../../src/database/subscriptions.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { EgressGate } from '../../src/egress/gate.ts';
import { createSender, type Sender } from '../../src/egress/send.ts';
import { createSealer } from '../../src/secrets/sealer.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { type Receiver, startReceiver, verify } from '../support/receiver.ts';
import { insertPendingDelivery, type RecordedDelivery, subscriptionRow, testSealer } from '../support/records.ts';

let database: TestDatabase;
let receiver: Receiver;
let sender: Sender;
beforeAll(async () => {
  [database, receiver] = await Promise.all([cloneDatabase(), startReceiver()]);
  sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs: 10_000 });
});
afterAll(async () => {
  await sender.close();
  await receiver.close();
  await database.drop();
});

let gate: EgressGate;
let made: RecordedDelivery;
beforeEach(async () => {
  gate = new EgressGate({ total: 2, perSubscription: 1 });
  receiver.answerWith(200);
  made = await insertPendingDelivery(database.db, receiver.url);
});

const send = (subscriptionId = made.subscriptionId, sealer = testSealer): Promise<TestSendResult> => {
  const activities = createTestSends({ db: database.db, sender, sealer, gate });
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  return environment.run(() => activities.sendTest(subscriptionId));
};
const trip = () =>
  database.db
    .updateTable('subscriptions')
    .set({ state: 'tripped', consecutive_failures: 5, tripped_at: new Date(), next_probe_at: new Date(8.64e14) })
    .where('id', '=', made.subscriptionId)
    .execute();

describe('a test send', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['active', () => Promise.resolve()],
    ['paused', () => disableSubscription(database.db, made.subscriptionId)],
    ['tripped', trip],
  ])('E11: goes out to a subscription that is %s, and keeps no books', async (_state, bring) => {
    await bring();
    for (const answer of [200, 500]) {
      const count = receiver.requests.length;
      const before = await subscriptionRow(database.db, made.subscriptionId);
      receiver.answerWith(answer);
      expect(await send()).toEqual({
        outcome: { statusCode: answer, connectionError: null, durationMs: expect.any(Number) as number },
        successful: answer === 200,
      });
      expect(receiver.requests.length).toBe(count + 1);
      expect(verify(receiver.requests[count]!, made.secret)).toEqual({ ping: true });
      expect(receiver.requests[count]!.headers['x-forgeflow-topic']).toBe('test.ping');
      expect(await subscriptionRow(database.db, made.subscriptionId)).toEqual(before);
    }
  });

  test('E11 E12: goes out though all places of its subscription are taken by requests that hang', async () => {
    const taken = await gate.enter(made.subscriptionId, 1_000);
    expect(taken).not.toBeNull();
    expect(await gate.enter(made.subscriptionId, 0)).toBeNull();
    expect(await send()).toMatchObject({ successful: true });
  });

  test('E5: takes a place among the requests in flight, and waits for one', async () => {
    const places = [await gate.enter('a', 1_000), await gate.enter('b', 1_000)];
    const count = receiver.requests.length;
    const sending = send();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(receiver.requests.length).toBe(count);
    places[0]!.leave();
    expect(await sending).toMatchObject({ successful: true });
  });

  test('E5: leaves its place again, whatever becomes of it', async () => {
    const wrongKey = createSealer(randomBytes(32).toString('base64'));
    for (let i = 0; i < 5; i++) {
      await expect(send(made.subscriptionId, wrongKey)).rejects.toThrow('SECRETS_KEY');
      await expect(send('01a2116b-4407-7039-971b-4a7414efd69b')).rejects.toThrow('the subscription is gone');
      receiver.answerWith(500);
      expect(await send()).toMatchObject({ successful: false });
    }
    const places = [await gate.enter('a', 1_000), await gate.enter('b', 1_000)];
    expect(places).not.toContain(null);
  });
});
