import { sql } from 'kysely';
import type { DeliveryState } from '../domain/delivery.ts';
import type { SubscriptionState } from '../domain/subscription.ts';
import type { Database } from './connection.ts';

/** How forgeflow stands, in numbers for its metrics. */
export interface Figures {
  /** A state that none is in may be missing. */
  deliveries: Partial<Record<DeliveryState, number>>;
  subscriptions: Partial<Record<SubscriptionState, number>>;
  /** Events that nobody has dispatched yet. */
  eventsWaiting: Backlog;
  /** Pending deliveries whose workflow nobody has started or woken yet. */
  deliveriesWaiting: Backlog;
}

export interface Backlog {
  count: number;
  /** 0 where none waits. By the clock of the database, which also set the times. */
  oldestAgeSeconds: number;
}

/** In one statement. All but the deliveries by state come from indexes that hold only what waits. */
export async function readFigures(db: Database): Promise<Figures> {
  const { rows } = await sql<Figures>`
    with backlog_of_events as (
      select count(*) as count, coalesce(extract(epoch from now() - min(created_at)), 0) as age
      from events where dispatched_at is null
    ), backlog_of_deliveries as (
      select count(*) as count, coalesce(extract(epoch from now() - min(date_created)), 0) as age
      from deliveries where started_at is null and state = 'pending' and next_attempt_at is null
    )
    select
      coalesce((
        select json_object_agg(state, count)
        from (select state, count(*) as count from deliveries group by state) as counted
      ), '{}') as deliveries,
      coalesce((
        select json_object_agg(state, count)
        from (select state, count(*) as count from subscriptions group by state) as counted
      ), '{}') as subscriptions,
      (select json_build_object('count', count, 'oldestAgeSeconds', greatest(age, 0)) from backlog_of_events)
        as "eventsWaiting",
      (select json_build_object('count', count, 'oldestAgeSeconds', greatest(age, 0)) from backlog_of_deliveries)
        as "deliveriesWaiting"
  `.execute(db);
  const figures = rows[0];
  if (figures === undefined) throw new Error('Postgres gave no row of figures');
  return figures;
}
