import { sql } from 'kysely';
import type { Database } from './connection.ts';

export interface NewEvent {
  id: string;
  topic: string;
  /** JSON text. */
  payload: string;
}

export interface PlannedDelivery {
  id: string;
  subscriptionId: string;
}

/**
 * Stores an event and its deliveries, all or nothing, in one statement. A subscription that was paused or deleted
 * since it was found to be interested gets none.
 * @returns the ids of the deliveries; undefined when an event of this id was there already, and nothing has changed
 */
export async function insertEvent(
  db: Database,
  { id, topic, payload }: NewEvent,
  deliveries: PlannedDelivery[],
): Promise<string[] | undefined> {
  const deliveryIds = deliveries.map((delivery) => delivery.id);
  const subscriptionIds = deliveries.map((delivery) => delivery.subscriptionId);
  const { rows } = await sql<{ stored: boolean; deliveryIds: string[] }>`
    with event as (
      insert into events (id, topic, payload) values (${id}, ${topic}, ${payload})
      on conflict (id) do nothing
      returning id
    ), delivery as (
      insert into deliveries (id, subscription_id, event_id, date_created)
      select planned.id, subscriptions.id, event.id, ${new Date()}
      from event
      cross join unnest(${deliveryIds}::uuid[], ${subscriptionIds}::uuid[]) as planned (id, subscription_id)
      join subscriptions on subscriptions.id = planned.subscription_id and subscriptions.state <> 'paused'
      for key share of subscriptions -- one that is being deleted is waited for, and then left out
      returning id
    )
    select exists (select from event) as stored,
      array(select id::text from delivery) as "deliveryIds"
  `.execute(db);
  return rows[0]?.stored ? rows[0].deliveryIds : undefined;
}
