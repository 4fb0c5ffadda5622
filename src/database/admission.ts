import { type RawBuilder, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import { type BatchPlaces, batchOfSeat, seatsOf } from './batch-seats.ts';
import type { Database } from './connection.ts';
import { preparedAs } from './prepared.ts';

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

/** Deliveries whose first attempts are made together. */
export interface FirstAttemptsBatch {
  id: string;
  deliveries: { id: string; subscriptionId: string; subscription: string }[];
}

export interface AdmissionLimits {
  /** Deliveries at once whose own workflows are to be told. */
  batch: number;
  /** Deliveries of one subscription whose workflow was told to go on and whose attempt has not ended. */
  inFlight: number;
  /** The same for a subscription whose last attempt failed, or that never had a success. */
  inFlightOnTrial: number;
  /** How long a probe has until another may go out. */
  probeLeaseMs: number;
  express: ExpressLimits;
}

/** Of the express lane, in the place of `batch` and `inFlight`. */
export interface ExpressLimits {
  /** Begun at once. */
  batches: number;
  batchSize: number;
  inFlight: number;
  /** Of all subscriptions together that have more waiting. */
  inFlightOfAll: number;
  /** How long few deliveries wait for more of them, while a batch or more of their subscription is under way. */
  gatherMs: number;
  /** A subscription in lane `auto` goes express while it has more deliveries waiting than this. */
  backlog: number;
}

export interface Admission {
  admitted: DeliveryToStart[];
  /** Those whose first attempts go out together: in batches that are under way, or are to be begun. */
  batches: FirstAttemptsBatch[];
  /** Whether more wait, whose subscriptions have no place free, or gather more; they will have when attempts end. */
  crowded: boolean;
}

/** One admitted delivery that goes out with a batch. */
interface AdmittedTogether {
  id: string;
  subscriptionId: string;
  subscription: string;
  batch: string;
}

/** Of a delivery: no workflow was told of it, and none waits for its next attempt. By an index that is made for this. */
export const isWaiting = sql`started_at is null and deliveries.state = 'pending' and next_attempt_at is null`;
/** Its workflow was told, and its attempt has not ended. The same. */
export const isInFlight = sql`started_at is not null and deliveries.state = 'pending' and next_attempt_at is null`;

/**
 * Takes deliveries that wait for a workflow to be told, and marks them as told: whoever takes them is to tell it.
 * Fair between subscriptions, each of which has a limit of its own; a tripped one gets a single probe when one is due,
 * or when one that somebody asked for waits. Those of the express lane come in batches, but for those that have a workflow
 * of their own already, which waits for a word.
 * @param underWay batches that take more; they are filled first
 */
export async function admitDeliveries(
  db: Database,
  limits: AdmissionLimits,
  underWay: BatchPlaces[] = [],
): Promise<Admission> {
  const fresh = Array.from({ length: limits.express.batches }, () => {
    return { batchId: uuidv7(), places: limits.express.batchSize };
  });
  const seats = seatsOf([...underWay, ...fresh]);
  // As part of its text: Postgres plans a prepared statement once, unless it thinks that it depends on what it is given.
  const { batch, inFlight, inFlightOnTrial, probeLeaseMs } = literals(limits);
  const express = literals(limits.express);
  const { rows } = await sql<{
    crowded: boolean;
    alone: DeliveryToStart[] | null;
    together: AdmittedTogether[] | null;
  }>`
    ${preparedAs('admit-deliveries')}
    with recursive waiting as ( -- the subscriptions that have deliveries waiting, without reading all of these
      (select subscription_id from deliveries
        where ${isWaiting} order by subscription_id limit 1)
      union all
      select (select subscription_id from deliveries
        where ${isWaiting}
          and subscription_id > waiting.subscription_id
        order by subscription_id limit 1)
      from waiting where waiting.subscription_id is not null
    ), laned as (
      select subscription.*, subscription.state = 'active' and (subscription.lane = 'express' or subscription.lane = 'auto' and (
          select count(*) from (
            select from deliveries
            where subscription_id = subscription.id and ${isWaiting}
            limit ${express.backlog} + 1
          ) as backlog
        ) > ${express.backlog}) as express
      from waiting join subscriptions subscription on subscription.id = waiting.subscription_id
    ), room as (
      select subscription.id, subscription.name, subscription.url, subscription.state, subscription.express,
        nominee.id as nominee,
        case
          when subscription.state = 'tripped'
            then (nominee.id is not null or coalesce(subscription.next_probe_at, now()) <= now())::int
          when subscription.consecutive_failures > 0 or subscription.last_success_at is null
            then ${inFlightOnTrial} - in_flight.count
          when not subscription.express then ${inFlight} - in_flight.count
          -- a whole batch, or none: a workflow for few costs as much as one for many
          when in_flight.count > 0 and ${express.inFlight} - in_flight.count < ${express.batchSize} then 0
          else ${express.inFlight} - in_flight.count
        end as places, in_flight.count as in_flight,
        -- while others of it are under way, those that came just now wait for more
        subscription.express and ${sql.lit(underWay.length === 0)} and in_flight.count >= ${express.batchSize} and (
          select count(*) < ${express.batchSize}
            and min(date_created) > now() - ${express.gatherMs} * interval '1 millisecond'
          from (
            select date_created from deliveries
            where subscription_id = subscription.id and ${isWaiting}
            order by date_created limit ${express.batchSize}
          ) as next
        ) as gathers
      from laned subscription
        cross join lateral (
          select count(*)::int as count from deliveries
          where subscription_id = subscription.id
            and ${isInFlight}
        ) as in_flight
        left join deliveries nominee on nominee.id = subscription.probe_delivery_id
          and nominee.started_at is null and nominee.state = 'pending' and nominee.next_attempt_at is null
    ), ours as ( -- tripped ones whose probe is ours to give out; locked before deliveries, as by all who change one
      select subscription.id from subscriptions subscription join room on room.id = subscription.id
      where room.state = 'tripped' and room.places > 0 and subscription.state = 'tripped'
        and (coalesce(subscription.next_probe_at, now()) <= now() or subscription.probe_delivery_id = room.nominee)
      for no key update of subscription skip locked
    ), turn as (
      select room.*, greatest(1, case
          when room.express then ${seats.count}::int else ${batch}
        end / count(*) over (partition by room.express)) as share,
        random() as lot
      from room left join ours on ours.id = room.id
      where places > 0 and not gathers and (state <> 'tripped' or ours.id is not null)
        and (not express or (select coalesce(sum(in_flight), 0) from room where express) < ${express.inFlightOfAll})
      order by lot limit ${batch}
    ), chosen as (
      select turn.lot, turn.id as subscription_id, turn.name, turn.url, turn.state, delivery.id,
        turn.express and delivery.carrier is distinct from delivery.id as express, delivery.date_created
      from turn cross join lateral (
        select id, carrier, date_created from deliveries
        where subscription_id = turn.id and ${isWaiting}
          and (turn.state <> 'tripped' or turn.nominee is null or deliveries.id = turn.nominee)
        order by date_created, id limit least(turn.places, turn.share) for update skip locked
      ) delivery
    ), placed as ( -- by subscription: one that does not answer keeps few batches open
      select *, row_number() over (partition by express order by lot, date_created, id)::int as seat
      from chosen
    ), probing as (
      update subscriptions
      set probe_delivery_id = chosen.id, next_probe_at = now() + ${probeLeaseMs} * interval '1 millisecond'
      from chosen
      where subscriptions.id = chosen.subscription_id and chosen.state = 'tripped'
    ), told as (
      update deliveries set started_at = now(), carrier = case
          when placed.express then ${batchOfSeat(seats, sql`placed.seat`)} else deliveries.id
        end
      from placed, events
      where deliveries.id = placed.id and events.id = deliveries.event_id
        and (not placed.express or placed.seat <= ${seats.count}::int)
      returning deliveries.id, events.topic, placed.subscription_id as "subscriptionId", placed.name as subscription,
        placed.url, deliveries.attempt_count as "attemptCount",
        case when placed.express then deliveries.carrier end as batch
    )
    select
      (select json_agg(to_jsonb(told) - 'batch') from told where batch is null) as alone,
      (
        select json_agg(json_build_object('id', id, 'subscriptionId', "subscriptionId", 'subscription', subscription, 'batch', batch))
        from told where batch is not null
      ) as together,
      exists (
        select from room
        where state <> 'tripped' and (
          places <= 0 or gathers or express and (${seats.count}::int = 0 or not exists (select from turn where turn.id = room.id))
        )
      ) as crowded
  `.execute(db);
  const { alone, together, crowded } = rows[0] ?? { alone: null, together: null, crowded: false };
  return { admitted: alone ?? [], batches: byBatch(together ?? []), crowded };
}

function literals<Name extends string>(numbers: Record<Name, unknown>): Record<Name, RawBuilder<number>> {
  const entries = Object.entries(numbers).filter(([, value]) => typeof value === 'number');
  return Object.fromEntries(entries.map(([name, value]) => [name, sql.lit(value)])) as Record<Name, RawBuilder<number>>;
}

function byBatch(admitted: AdmittedTogether[]): FirstAttemptsBatch[] {
  const batches = new Map<string, FirstAttemptsBatch>();
  for (const { batch: id, ...delivery } of admitted) {
    const batch = batches.get(id) ?? { id, deliveries: [] };
    batches.set(id, batch);
    batch.deliveries.push(delivery);
  }
  return [...batches.values()];
}

/** Takes an admission back: their workflows could not be told. */
export async function readmitLater(db: Database, ids: string[]): Promise<void> {
  await sql`
    update deliveries set started_at = null
    from (
      select id from deliveries where id = any(${ids}::uuid[]) order by id for update
    ) as locked
    where deliveries.id = locked.id and state = 'pending'
  `.execute(db);
}

/** A delivery that was admitted long ago. */
export interface Stray extends DeliveryToStart {
  /** The batch that it was to go out with; null: it has a workflow of its own. */
  batch: string | null;
}

/**
 * Deliveries that were admitted so long ago that whoever did it may have died before it told their workflow. Each is
 * given out once in that time.
 */
export async function takeStrays(db: Database, olderThanMs: number, limit: number): Promise<Stray[]> {
  const { rows } = await sql<Stray>`
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
      subscriptions.url, deliveries.attempt_count as "attemptCount", nullif(deliveries.carrier, deliveries.id) as batch
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
