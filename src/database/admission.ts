import { sql } from 'kysely';
import type { Database } from './connection.ts';

/** A delivery as its workflow is started with, or woken. */
export interface DeliveryToStart {
  id: string;
  topic: string;
  subscriptionId: string;
  /** The subscription's name and URL. */
  subscription: string;
  url: string;
  /** Attempts already made, of earlier rounds. */
  attemptCount: number;
}

export interface AdmissionLimits {
  /** Deliveries at once, all told. */
  batch: number;
  /** Deliveries of one subscription whose workflow was told to go on and whose attempt has not ended. */
  inFlight: number;
  /** The same for a subscription whose last attempt failed, or that never had a success. */
  inFlightOnTrial: number;
  /** How long a probe has until another may go out. */
  probeLeaseMs: number;
}

export interface Admission {
  admitted: DeliveryToStart[];
  /** Whether more wait, whose subscriptions have no place free; they will have when attempts end. */
  crowded: boolean;
}

/**
 * Takes deliveries that wait for their workflow to be told, and marks them as told: whoever takes them is to tell it.
 * Fair between subscriptions, each of which has a limit of its own; a tripped one gets a single probe when one is due,
 * or when one that somebody asked for waits.
 */
export async function admitDeliveries(db: Database, limits: AdmissionLimits): Promise<Admission> {
  const { batch, inFlight, inFlightOnTrial, probeLeaseMs } = limits;
  const { rows } = await sql<{ crowded: boolean; admitted: DeliveryToStart[] | null }>`
    with recursive waiting as ( -- the subscriptions that have deliveries waiting, without reading all of these
      (select subscription_id from deliveries
        where started_at is null and state = 'pending' order by subscription_id limit 1)
      union all
      select (select subscription_id from deliveries
        where started_at is null and state = 'pending' and subscription_id > waiting.subscription_id
        order by subscription_id limit 1)
      from waiting where waiting.subscription_id is not null
    ), room as (
      select subscription.id, subscription.name, subscription.url, subscription.state, nominee.id as nominee,
        case
          when subscription.state = 'tripped'
            then (nominee.id is not null or coalesce(subscription.next_probe_at, now()) <= now())::int
          else case
            when subscription.consecutive_failures > 0 or subscription.last_success_at is null
              then ${inFlightOnTrial}::int
            else ${inFlight}::int
          end - (
            select count(*) from deliveries
            where subscription_id = subscription.id
              and started_at is not null and state = 'pending' and next_attempt_at is null
          )::int
        end as places
      from waiting join subscriptions subscription on subscription.id = waiting.subscription_id
        left join deliveries nominee on nominee.id = subscription.probe_delivery_id
          and nominee.started_at is null and nominee.state = 'pending'
    ), ours as ( -- tripped ones whose probe is ours to give out; locked before deliveries, as by all who change one
      select subscription.id from subscriptions subscription join room on room.id = subscription.id
      where room.state = 'tripped' and room.places > 0 and subscription.state = 'tripped'
        and (coalesce(subscription.next_probe_at, now()) <= now() or subscription.probe_delivery_id = room.nominee)
      for no key update of subscription skip locked
    ), turn as (
      select room.*, greatest(1, ${batch}::int / count(*) over ()) as share
      from room left join ours on ours.id = room.id
      where places > 0 and (state <> 'tripped' or ours.id is not null)
      order by random() limit ${batch}
    ), chosen as (
      select turn.id as subscription_id, turn.name, turn.url, turn.state, delivery.id
      from turn cross join lateral (
        select id from deliveries
        where subscription_id = turn.id and started_at is null and deliveries.state = 'pending'
          and (turn.state <> 'tripped' or turn.nominee is null or deliveries.id = turn.nominee)
        order by date_created, id limit least(turn.places, turn.share) for update skip locked
      ) delivery
    ), probing as (
      update subscriptions
      set probe_delivery_id = chosen.id, next_probe_at = now() + ${probeLeaseMs} * interval '1 millisecond'
      from chosen
      where subscriptions.id = chosen.subscription_id and chosen.state = 'tripped'
    ), told as (
      update deliveries set started_at = now()
      from chosen, events
      where deliveries.id = chosen.id and events.id = deliveries.event_id
      returning deliveries.id, events.topic, chosen.subscription_id as "subscriptionId", chosen.name as subscription,
        chosen.url, deliveries.attempt_count as "attemptCount"
    )
    select (select json_agg(told) from told) as admitted,
      exists (select from room where state <> 'tripped' and places <= 0) as crowded
  `.execute(db);
  return { admitted: rows[0]?.admitted ?? [], crowded: rows[0]?.crowded ?? false };
}

/** Takes an admission back: their workflows could not be told. */
export async function readmitLater(db: Database, ids: string[]): Promise<void> {
  await db
    .updateTable('deliveries')
    .set({ started_at: null })
    .where('id', 'in', ids)
    .where('state', '=', 'pending')
    .execute();
}

/**
 * Deliveries that were admitted so long ago that whoever did it may have died before it told their workflow. Each is
 * given out once in that time.
 */
export async function takeStrays(db: Database, olderThanMs: number, limit: number): Promise<DeliveryToStart[]> {
  const { rows } = await sql<DeliveryToStart>`
    with stray as (
      select id from deliveries
      where started_at < now() - ${olderThanMs} * interval '1 millisecond'
        and state = 'pending' and next_attempt_at is null
      order by started_at limit ${limit} for update skip locked
    )
    update deliveries set started_at = now()
    from stray, events, subscriptions
    where deliveries.id = stray.id
      and events.id = deliveries.event_id and subscriptions.id = deliveries.subscription_id
    returning deliveries.id, events.topic, subscriptions.id as "subscriptionId", subscriptions.name as subscription,
      subscriptions.url, deliveries.attempt_count as "attemptCount"
  `.execute(db);
  return rows;
}

/** Makes a pending delivery wait until it is admitted (again): its workflow will be told. */
export async function holdDelivery(db: Database, id: string): Promise<{ failureDetail: string | null } | undefined> {
  return db
    .updateTable('deliveries')
    .set({ started_at: null, next_attempt_at: null })
    .where('id', '=', id)
    .where('state', '=', 'pending')
    .returning('failure_detail as failureDetail')
    .executeTakeFirst();
}
