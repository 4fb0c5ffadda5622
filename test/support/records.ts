import { randomBytes, randomUUID } from 'node:crypto';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { insertEventFor } from '../../src/database/events.ts';
import { insertSubscription } from '../../src/database/subscriptions.ts';
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
  const [deliveryId, subscriptionId, eventId] = [randomUUID(), randomUUID(), randomUUID()];
  const secret = generateSecret();
  await insertSubscription(db, {
    id: subscriptionId,
    name: `s-${subscriptionId}`,
    url,
    patterns: ['>'],
    headersSealed: testSealer.seal('{}'),
    secretSealed: testSealer.seal(secret),
  });
  await insertEventFor(db, { id: eventId, topic: 'a.b', payload: '{"n": 1}' }, { id: deliveryId, subscriptionId });
  return { deliveryId, subscriptionId, eventId, secret };
}

export async function deliveryRow(db: ForgeflowDatabase, id: string) {
  return db.selectFrom('deliveries').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}

export async function subscriptionRow(db: ForgeflowDatabase, id: string) {
  return db.selectFrom('subscriptions').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}
