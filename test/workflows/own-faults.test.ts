import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSealer } from '../../src/secrets/sealer.ts';
import { retryNowSignal } from '../../workflows/messages.ts';
import { type DeliveryHandle, deliverTo, sleepingDelivery, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { activitiesOf, historyText } from '../support/history.ts';
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

/** Waits until Temporal tries the attempt again. @returns the type and message of the failure */
async function untilTriedAgain(handle: DeliveryHandle): Promise<{ type: string | undefined; message: string }> {
  const activity = () =>
    handle.describe().then(({ raw }) => {
      const [pending] = raw.pendingActivities ?? [];
      return pending;
    });
  await expect.poll(async () => (await activity())?.attempt ?? 0, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
  const failure = (await activity())?.lastFailure;
  return { type: failure?.applicationFailureInfo?.type ?? undefined, message: failure?.message ?? '' };
}

test('D5 a key that does not open the secrets uses up no attempt, and nothing is sent', async () => {
  const { forgeflow, workers, sealer } = environment;
  const before = receiver.requests.length;
  workers.sealer = createSealer(randomBytes(32).toString('base64'));
  const { id, handle } = await deliverTo(forgeflow, receiver.url);
  expect(await untilTriedAgain(handle)).toEqual({
    type: 'WebhookDeliveryRetry',
    message: expect.stringContaining('SECRETS_KEY') as string,
  });
  expect(await forgeflow.deliveries.show(id)).toMatchObject({ pending: true, attemptCount: 0, dateFirstSent: null });
  expect(receiver.requests.length).toBe(before);

  workers.sealer = sealer;
  const delivery = await untilDelivery(forgeflow, id, ({ pending }) => !pending);
  expect(delivery).toMatchObject({ state: 'delivered', attemptCount: 1 });
  expect(delivery.attempts.length).toBe(1);
  expect(receiver.requests.length).toBe(before + 1);
  expect(await activitiesOf(handle)).toBe(1);
});

test('D5 a table that is missing for a while uses up neither attempts nor the 24 h', async () => {
  const { forgeflow, database } = environment;
  const { id, handle } = await sleepingDelivery(forgeflow);
  await forgeflow.subscriptions.update((await forgeflow.deliveries.show(id)).subscription, { url: receiver.url });
  const windowOf = () =>
    database.db.selectFrom('deliveries').select('window_started_at').where('id', '=', id).executeTakeFirstOrThrow();
  const window = await windowOf();

  await sql`alter table deliveries rename to deliveries_away`.execute(database.db);
  await handle.signal(retryNowSignal);
  expect((await untilTriedAgain(handle)).type).toBe('WebhookDeliveryRetry');
  await sql`alter table deliveries_away rename to deliveries`.execute(database.db);

  expect(await untilDelivery(forgeflow, id, ({ pending }) => !pending)).toMatchObject({
    state: 'delivered',
    attemptCount: 2,
  });
  expect(await windowOf()).toEqual(window);
});

test('D5 a table that is locked makes the attempt wait', async () => {
  const { forgeflow, database } = environment;
  const { id, handle, subscription } = await sleepingDelivery(forgeflow);
  await forgeflow.subscriptions.update(subscription.name, { url: receiver.url });
  const before = receiver.requests.length;
  await database.db.transaction().execute(async (transaction) => {
    await sql`lock table deliveries in access exclusive mode`.execute(transaction);
    await handle.signal(retryNowSignal);
    await expect.poll(() => activitiesOf(handle)).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(receiver.requests.length).toBe(before);
  });
  await untilDelivery(forgeflow, id, ({ state, attemptCount }) => state === 'delivered' && attemptCount === 2);
  expect(receiver.requests.length).toBe(before + 1);
});

test('D5 what stands in the history of such a failure is no secret', async () => {
  const { forgeflow, workers, sealer } = environment;
  workers.sealer = {
    seal: (plain) => sealer.seal(plain),
    open: (sealed) => {
      throw Object.assign(new Error('it does not open'), { cause: new Error(sealer.open(sealed)) });
    },
  };
  const { handle, subscription } = await deliverTo(forgeflow, receiver.url, { headers: { 'x-token': 'my-token' } });
  await untilTriedAgain(handle);
  workers.sealer = sealer;
  await handle.result();
  const text = await historyText(handle);
  expect(text).toContain('it does not open');
  expect(text).not.toContain(subscription.secret);
  expect(text).not.toContain('my-token');
});
