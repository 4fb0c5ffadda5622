import { randomBytes, randomUUID } from 'node:crypto';
import type { Insertable } from 'kysely';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { insertEventFor } from '../../src/database/events.ts';
import { insertSubscription } from '../../src/database/subscriptions.ts';
import type { DeliveryTable } from '../../src/database/tables.ts';
import { EgressGate } from '../../src/egress/gate.ts';
import { generateSecret } from '../../src/egress/sign.ts';
import { createSealer } from '../../src/secrets/sealer.ts';

export const testSealer = createSealer(randomBytes(32).toString('base64'));

/** What attempts need besides a database, a sender and a sealer: no one waits at this gate. */
export const attemptParts = {
  gate: new EgressGate({ total: 1_000, perSubscription: 1_000 }),
  breakerFailures: 5,
  observe: () => undefined,
};

export interface RecordedDelivery {
  deliveryId: string;
  subscriptionId: string;
  eventId: string;
  secret: string;
}

/** A pending delivery in the database alone, to a subscription of its own. */
export async function insertPendingDelivery(db: ForgeflowDatabase, url: string): Promise<RecordedDelivery> {
  const [deliveryId, eventId] = [randomUUID(), randomUUID()];
  const { subscriptionId, secret } = await insertOwnSubscription(db, url);
  await insertEventFor(db, { id: eventId, topic: 'a.b', payload: '{"n": 1}' }, { id: deliveryId, subscriptionId });
  return { deliveryId, subscriptionId, eventId, secret };
}

export interface RecordedBatch {
  subscriptionId: string;
  batchId: string;
  ids: string[];
}

/**
 * Deliveries in the database alone, to a subscription of their own, given out with one batch.
 * @param options.batchId of a batch that has deliveries to other subscriptions too
 * @param options.payload of each event, JSON text
 * @param options.values what is different about these deliveries
 */
export async function insertBatch(
  db: ForgeflowDatabase,
  count: number,
  options: { batchId?: string; payload?: string; values?: Partial<Insertable<DeliveryTable>> } = {},
): Promise<RecordedBatch> {
  const { batchId = randomUUID(), payload = '1', values = {} } = options;
  const { subscriptionId } = await insertOwnSubscription(db, 'https://example.com/hook');
  const ids = Array.from({ length: count }, () => randomUUID());
  const events = ids.map(() => ({ id: randomUUID(), topic: 'a.b', payload, dispatched_at: new Date() }));
  await db.insertInto('events').values(events).execute();
  const rows = ids.map((id, n) => ({
    id,
    subscription_id: subscriptionId,
    event_id: events[n]!.id,
    date_created: new Date(),
    started_at: new Date(),
    carrier: batchId,
    ...values,
  }));
  await db.insertInto('deliveries').values(rows).execute();
  return { subscriptionId, batchId, ids };
}

async function insertOwnSubscription(
  db: ForgeflowDatabase,
  url: string,
): Promise<{ subscriptionId: string; secret: string }> {
  const subscriptionId = randomUUID();
  const secret = generateSecret();
  await insertSubscription(db, {
    id: subscriptionId,
    name: `s-${subscriptionId}`,
    url,
    patterns: ['>'],
    headersSealed: testSealer.seal('{}'),
    secretSealed: testSealer.seal(secret),
  });
  return { subscriptionId, secret };
}

export async function deliveryRow(db: ForgeflowDatabase, id: string) {
  return db.selectFrom('deliveries').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}

export async function subscriptionRow(db: ForgeflowDatabase, id: string) {
  return db.selectFrom('subscriptions').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}
