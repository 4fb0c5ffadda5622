import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Refusal } from '../../src/domain/refusal.ts';
import {
  attempted,
  DEAD_URL,
  deliverTo,
  handleOf,
  publishTo,
  resultOf,
  sleepingDelivery,
  type StartedDelivery,
  subscribe,
  untilClosed,
  untilDelivery,
} from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { activitiesOf } from '../support/history.ts';
import { startReceiver } from '../support/receiver.ts';

const HOUR = 3_600_000;

let environment: Environment;
beforeAll(async () => {
  // The breaker would hold back most of what fails here.
  environment = await startEnvironment({ settings: { BREAKER_FAILURES: '1000' } });
});
afterAll(() => environment.stop());

/** Lets the 24 h of deliveries be over, and their last attempt be made. */
async function exhaust(...deliveries: StartedDelivery[]): Promise<void> {
  const { database, forgeflow } = environment;
  const ids = deliveries.map(({ id }) => id);
  const begin = new Date(Date.now() - 25 * HOUR);
  await database.db
    .updateTable('deliveries')
    .set({ window_started_at: begin, date_first_sent: begin, date_created: begin })
    .where('id', 'in', ids)
    .execute();
  for (const delivery of deliveries) {
    await forgeflow.deliveries.retry(delivery.id);
    expect(await untilClosed(delivery)).toBe('FAILED');
  }
}

/** Long enough for an attempt too many to be made. */
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 700));

describe('D6 redelivery', () => {
  test('starts the 24 h anew; id, log and first date stay and attempt numbers go on', async () => {
    const { forgeflow } = environment;
    const delivery = await sleepingDelivery(forgeflow);
    await exhaust(delivery);
    const before = await forgeflow.deliveries.show(delivery.id);
    expect(before).toMatchObject({ state: 'failed', attemptCount: 2 });

    expect(await forgeflow.deliveries.redeliver(delivery.id)).toMatchObject({ id: delivery.id });
    const after = await untilDelivery(forgeflow, delivery.id, ({ attemptCount }) => attemptCount === 3);
    expect(after).toMatchObject({
      pending: true,
      dateFirstSent: before.dateFirstSent,
      dateCreated: before.dateCreated,
    });
    expect(after.attempts.map(({ number }) => number)).toEqual([1, 2, 3]);
    const waits = Date.parse(after.nextAttemptAt!) - Date.parse(after.dateSent!);
    expect(waits).toBeGreaterThanOrEqual(5 * 60_000);
    expect(waits).toBeLessThan(5 * 60_000 + 5_000);

    // The signal that came with the start has been answered by the attempt.
    await aMoment();
    expect(await activitiesOf(handleOf(forgeflow, delivery.id))).toBe(1);
    expect((await forgeflow.deliveries.show(delivery.id)).attemptCount).toBe(3);
  });

  test('without reset makes one attempt when the 24 h are over, and ends', async () => {
    const { forgeflow } = environment;
    const delivery = await sleepingDelivery(forgeflow);
    await exhaust(delivery);
    await forgeflow.deliveries.redeliver(delivery.id, { reset: false });
    const after = await untilDelivery(forgeflow, delivery.id, ({ attemptCount }) => attemptCount === 3);
    expect(after).toMatchObject({ state: 'failed', nextAttemptAt: null });
    expect(await untilClosed({ handle: handleOf(forgeflow, delivery.id) })).toBe('FAILED');
    expect((await forgeflow.deliveries.show(delivery.id)).attemptCount).toBe(3);
  });

  test('without reset goes on in the 24 h that are left', async () => {
    const { forgeflow, database } = environment;
    const { id } = await sleepingDelivery(forgeflow);
    const begin = new Date(Date.now() - 2 * HOUR);
    await database.db.updateTable('deliveries').set({ window_started_at: begin }).where('id', '=', id).execute();
    await forgeflow.deliveries.cancel(id);
    await untilClosed({ handle: handleOf(forgeflow, id) });
    await forgeflow.deliveries.redeliver(id, { reset: false });
    const after = await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 2);
    expect(Date.parse(after.nextAttemptAt!) - Date.parse(after.dateSent!)).toBeGreaterThanOrEqual(HOUR);
  });

  test('of a delivered one sends it once more, under the same webhook-id', async () => {
    const { forgeflow } = environment;
    const receiver = await startReceiver();
    const { id, handle } = await deliverTo(forgeflow, receiver.url);
    await resultOf({ handle });
    await forgeflow.deliveries.redeliver(id);
    const requests = await receiver.waitForRequests(2);
    expect(requests.map(({ headers }) => headers['webhook-id'])).toEqual([id, id]);
    expect(requests.map(({ headers }) => headers['x-forgeflow-attempt'])).toEqual(['1', '2']);
    await untilDelivery(forgeflow, id, ({ state, attemptCount }) => state === 'delivered' && attemptCount === 2);
    await untilClosed({ handle: handleOf(forgeflow, id) });
    expect(receiver.requests.length).toBe(2);
    await receiver.close();
  });

  test('asked for while the last attempt is still being written down makes one attempt more, not two', async () => {
    const { forgeflow, database } = environment;
    const delivery = await sleepingDelivery(forgeflow);
    const { id, handle, subscription } = delivery;
    await database.db
      .updateTable('deliveries')
      .set({ window_started_at: new Date(Date.now() - 25 * HOUR) })
      .where('id', '=', id)
      .execute();
    await database.db.transaction().execute(async (transaction) => {
      // The books of the subscription are kept after the record of the attempt: there it stops.
      await transaction
        .selectFrom('subscriptions')
        .select('id')
        .where('id', '=', subscription.id)
        .forUpdate()
        .execute();
      await forgeflow.deliveries.retry(id);
      await untilDelivery(forgeflow, id, ({ state }) => state === 'failed');
      await forgeflow.deliveries.redeliver(id);
    });
    await attempted(delivery, 3);
    await aMoment();
    expect(await forgeflow.deliveries.show(id)).toMatchObject({ pending: true, attemptCount: 3 });
    expect(await activitiesOf(handle)).toBe(3);
  });

  test('in bulk queues what failed or was cancelled since then, each for one attempt', async () => {
    const { forgeflow } = environment;
    const subscription = await subscribe(forgeflow, DEAD_URL);
    const deliveries = await Promise.all(
      Array.from({ length: 6 }, (_, n) => publishTo(forgeflow, subscription, { n })),
    );
    await Promise.all(deliveries.map((delivery) => attempted(delivery, 1)));
    const [old, waiting, cancelled, ...failed] = deliveries;
    await exhaust(old!, ...failed);
    await forgeflow.deliveries.cancel(cancelled!.id);
    await untilClosed(cancelled!);
    await environment.database.db
      .updateTable('deliveries')
      .set({ date_created: new Date(Date.now() - 49 * HOUR) })
      .where('id', '=', old!.id)
      .execute();

    const since = new Date(Date.now() - 48 * HOUR);
    expect(await forgeflow.deliveries.redeliverSince(subscription.name, since)).toEqual({ redelivered: 4 });
    for (const { id } of failed) await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount === 3);
    await untilDelivery(forgeflow, cancelled!.id, ({ attemptCount }) => attemptCount === 2);
    await aMoment();
    const counts = await Promise.all(deliveries.map(({ id }) => forgeflow.deliveries.show(id)));
    expect(counts.map(({ attemptCount }) => attemptCount)).toEqual([2, 1, 2, 3, 3, 3]);
    expect((await forgeflow.deliveries.show(waiting!.id)).pending).toBe(true);
    for (const { id } of deliveries.slice(2)) expect(await activitiesOf(handleOf(forgeflow, id))).toBe(1);
  });

  test('is refused for a pending delivery, for one that is not there, and for a subscription that is not', async () => {
    const { deliveries } = environment.forgeflow;
    const { id } = await sleepingDelivery(environment.forgeflow);
    const refused = (kind: string) => expect.objectContaining({ name: Refusal.name, kind }) as Error;
    await expect(deliveries.redeliver(id)).rejects.toEqual(refused('conflict'));
    await expect(deliveries.redeliver('01a2116b-4407-7039-971b-4a7414efd69b')).rejects.toEqual(refused('not_found'));
    await expect(deliveries.redeliver('no id at all')).rejects.toEqual(refused('not_found'));
    await expect(deliveries.redeliverSince('nobody', new Date(0))).rejects.toEqual(refused('not_found'));
  });
});
