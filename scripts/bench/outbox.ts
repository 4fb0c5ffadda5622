import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import pLimit from 'p-limit';
import { v7 as uuidv7 } from 'uuid';
import type { ClientContext } from '../../src/client/context.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { type DeliveryToStart, markStarted } from '../../src/database/deliveries.ts';
import { listInterests } from '../../src/database/subscriptions.ts';
import { matchesTopic } from '../../src/domain/topic-pattern.ts';
import { startDelivery } from '../../src/temporal/deliveries.ts';

// Another way to start deliveries, tried here: whoever publishes only writes, and the worker starts what was written, in
// batches. It is the worker that can start workflows eagerly, and a batch is read and marked at once.

const BATCH = 40;

/** One statement for the event and its deliveries. */
export async function writeToOutbox(db: ForgeflowDatabase, topic: string, payload: string): Promise<string> {
  const eventId = uuidv7();
  const interested = (await listInterests(db)).filter(({ patterns }) => patterns.some((p) => matchesTopic(p, topic)));
  const ids = interested.map(() => uuidv7());
  await sql`
    with event as (
      insert into events (id, topic, payload) values (${eventId}, ${topic}, ${payload})
      on conflict do nothing returning id
    )
    insert into deliveries (id, subscription_id, event_id, date_created)
    select delivery.id, delivery.subscription_id, event.id, ${new Date()}
    from event, unnest(${ids}::uuid[], ${interested.map(({ id }) => id)}::uuid[]) as delivery (id, subscription_id)
    on conflict do nothing
  `.execute(db);
  return eventId;
}

/** Starts what is written until this many are started. */
export async function startFromOutbox(
  { db, temporal }: ClientContext,
  amount: number,
  startsAtOnce: number,
): Promise<void> {
  const limit = pLimit(startsAtOnce);
  for (let started = 0; started < amount;) {
    const taken = await db.transaction().execute(async (transaction) => {
      const { rows } = await sql<DeliveryToStart>`
        select delivery.id, event.id as "eventId", event.topic, subscription.name as subscription, subscription.url,
          delivery.attempt_count as "attemptCount"
        from deliveries delivery
          join events event on event.id = delivery.event_id
          join subscriptions subscription on subscription.id = delivery.subscription_id
        where delivery.started_at is null and delivery.state = 'pending'
        order by delivery.date_created limit ${BATCH} for update of delivery skip locked
      `.execute(transaction);
      await Promise.all(rows.map((delivery) => limit(() => startDelivery(temporal, delivery))));
      await markStarted(
        transaction,
        rows.map(({ id }) => id),
      );
      return rows.length;
    });
    started += taken;
    if (taken === 0) await sleep(5);
  }
}
