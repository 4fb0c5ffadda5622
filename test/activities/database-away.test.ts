import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDeliveryAttempts } from '../../activities/delivery-attempts.ts';
import { listAttempts } from '../../src/database/attempts.ts';
import { type ForgeflowDatabase, openDatabase } from '../../src/database/connection.ts';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender } from '../../src/egress/send.ts';
import { type DatabaseServer, startDatabaseServer } from '../support/database-server.ts';
import { startReceiver } from '../support/receiver.ts';
import { attemptParts, deliveryRow, insertPendingDelivery, testSealer } from '../support/records.ts';

let server: DatabaseServer;
let db: ForgeflowDatabase;
beforeAll(async () => {
  server = await startDatabaseServer();
  db = openDatabase(server.url);
});
afterAll(async () => {
  await db.destroy();
  await server.remove();
});

const sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs: 10_000 });

async function attempt(deliveryId: string, number: number) {
  const activity = createDeliveryAttempts({ db, sender, sealer: testSealer, ...attemptParts });
  const request = { deliveryId, number, askedAt: new Date().toISOString() };
  return new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(() =>
    activity.attemptDelivery(request),
  );
}

test('D5 a database that restarts while a request is in flight is waited for, and the receiver sees one request', async () => {
  const receiver = await startReceiver({
    answer: async () => {
      await server.stop();
      return 200;
    },
  });
  const { deliveryId } = await insertPendingDelivery(db, receiver.url);
  const result = attempt(deliveryId, 1);
  await receiver.waitForRequests(1);
  await new Promise((resolve) => setTimeout(resolve, 500)); // the first tries to write it down fail
  await server.start();
  expect(await result).toMatchObject({ state: 'delivered' });
  expect(receiver.requests.length).toBe(1);
  expect(await deliveryRow(db, deliveryId)).toMatchObject({ state: 'delivered', attempt_count: 1 });
  expect((await listAttempts(db, deliveryId)).length).toBe(1);
  await receiver.close();
});

test('D5 a database that is away beforehand is a fault of ours, and nothing is sent', async () => {
  const receiver = await startReceiver();
  const { deliveryId } = await insertPendingDelivery(db, receiver.url);
  await server.stop();
  await expect(attempt(deliveryId, 1)).rejects.toMatchObject({ type: 'WebhookDeliveryRetry', nonRetryable: false });
  await server.start();
  expect(receiver.requests).toEqual([]);
  expect(await attempt(deliveryId, 1)).toMatchObject({ state: 'delivered' });
  await receiver.close();
});
