import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { sweepDeliveries } from '../../workflows/sweep-deliveries.ts';
import { countRecords, DAY_MS, insertOld } from '../database/retention-rows.ts';
import { deliverTo, sleepingDelivery, untilClosed, untilDelivery } from '../support/deliveries.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { startReceiver } from '../support/receiver.ts';

let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({ settings: { DELIVERY_RETENTION_DAYS: '7.5' } });
});
afterAll(() => environment.stop());

async function startSweep() {
  return environment.forgeflow.temporal.workflow.start<typeof sweepDeliveries>('sweepDeliveries', {
    workflowId: `sweepDeliveries-${randomUUID()}`,
    taskQueue: 'forgeflow',
    args: [],
  });
}

/** As if so many days had passed since. */
const age = async (days: number): Promise<void> => {
  const { db } = environment.database;
  const back = sql<Date>`${days}::float8 * interval '1 day'`;
  await sql`update deliveries set date_created = date_created - ${back}`.execute(db);
  await sql`update events set created_at = created_at - ${back}`.execute(db);
};

test('J12: a sweep deletes what is older than the setting, and says what, and from before when', async () => {
  const { db } = environment.database;
  await insertOld(db, { count: 12, daysOld: 8, state: 'delivered', attempts: 2 });
  await insertOld(db, { count: 5, daysOld: 7, state: 'failed', attempts: 1 });
  const handle = await startSweep();
  const { deliveries, events, cutoff } = await handle.result();
  expect(await countRecords(db)).toEqual({ deliveries: 5, attempts: 5, events: 5 });
  expect(deliveries).toBe(12);
  expect(events).toBeGreaterThanOrEqual(12); // and what forgeflow had to say of itself eight days ago
  const { startTime } = await handle.describe();
  expect(Math.abs(startTime.getTime() - 7.5 * DAY_MS - Date.parse(cutoff))).toBeLessThan(5_000);
  const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  expect(currentDetails).toBe(`**12 deliveries** and **${events} events** from before ${cutoff} deleted`);
});

test('J12: a delivery whose workflow still sleeps is kept and goes on; once it is over, it is deleted', async () => {
  const { forgeflow } = environment;
  const receiver = await startReceiver();
  const { id: over } = await deliverTo(forgeflow, receiver.url);
  const { id, handle } = await sleepingDelivery(forgeflow);
  await age(8);
  await (await startSweep()).result();
  await expect(forgeflow.deliveries.show(over)).rejects.toThrow();
  expect(await forgeflow.deliveries.show(id)).toMatchObject({ state: 'pending', attemptCount: 1 });

  await forgeflow.deliveries.retry(id);
  await untilDelivery(forgeflow, id, ({ attemptCount }) => attemptCount >= 2);
  await forgeflow.deliveries.cancel(id);
  await untilClosed({ handle });
  await forgeflow.deliveries.redeliver(id); // pending again, by another workflow
  await (await startSweep()).result();
  expect((await forgeflow.deliveries.show(id)).attempts.length).toBeGreaterThanOrEqual(2);

  await forgeflow.deliveries.cancel(id);
  await (await startSweep()).result(); // while that workflow may still be closing
  await expect(forgeflow.deliveries.show(id)).rejects.toThrow();
  await untilClosed({ handle });
  await receiver.close();
});
