import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
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
  /** At once. */
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
  /** Those whose first attempts go out together. */
  batches: FirstAttemptsBatch[];
  /** Whether more wait, whose subscriptions have no place free, or gather more; they will have when attempts end. */
  crowded: boolean;
}

/** One admitted delivery, as its row says. */
interface Admitted extends DeliveryToStart {
  /** The batch that it goes out with; null: its own workflow is told. */
  batch: string | null;
}

/** Of a delivery: no workflow was told of it, and none waits for its next attempt. By an index that is made for this. */
const isWaiting = sql`started_at is null and deliveries.state = 'pending' and next_attempt_at is null`;

/**
 * Takes deliveries that wait for a workflow to be told, and marks them as told: whoever takes them is to tell it.
 * Fair between subscriptions, each of which has a limit of its own; a tripped one gets a single probe when one is due,
 * or when one that somebody asked for waits. Those of the express lane come in batches, but for those that have a workflow
 * of their own already, which waits for a word.
 */
export async function admitDeliveries(db: Database, limits: AdmissionLimits): Promise<Admission> {
  const { batch, inFlight, inFlightOnTrial, probeLeaseMs, express } = limits;
  const batchIds = Array.from({ length: express.batches }, () => uuidv7());
  const { rows } = await sql<{ crowded: boolean; admitted: Admitted[] | null }>`
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
            limit ${express.backlog}::int + 1
          ) as backlog
        ) > ${express.backlog}::int) as express
      from waiting join subscriptions subscription on subscription.id = waiting.subscription_id
    ), room as (
      select subscription.id, subscription.name, subscription.url, subscription.state, subscription.express,
        nominee.id as nominee,
        case
          when subscription.state = 'tripped'
            then (nominee.id is not null or coalesce(subscription.next_probe_at, now()) <= now())::int
          when subscription.consecutive_failures > 0 or subscription.last_success_at is null
            then ${inFlightOnTrial}::int - in_flight.count
          when not subscription.express then ${inFlight}::int - in_flight.count
          -- a whole batch, or none: a workflow for few costs as much as one for many
          when in_flight.count > 0 and ${express.inFlight}::int - in_flight.count < ${express.batchSize}::int then 0
          else ${express.inFlight}::int - in_flight.count
        end as places, in_flight.count as in_flight,
        -- while others of it are under way, those that came just now wait for more
        subscription.express and in_flight.count >= ${express.batchSize}::int and (
          select count(*) < ${express.batchSize}::int
            and min(date_created) > now() - ${express.gatherMs} * interval '1 millisecond'
          from (
            select date_created from deliveries
            where subscription_id = subscription.id and ${isWaiting}
            order by date_created limit ${express.batchSize}::int
          ) as next
        ) as gathers
      from laned subscription
        cross join lateral (
          select count(*)::int as count from deliveries
          where subscription_id = subscription.id
            and started_at is not null and deliveries.state = 'pending' and next_attempt_at is null
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
          when room.express then ${express.batches * express.batchSize}::int else ${batch}::int
        end / count(*) over (partition by room.express)) as share
      from room left join ours on ours.id = room.id
      where places > 0 and not gathers and (state <> 'tripped' or ours.id is not null)
        and (not express or (select coalesce(sum(in_flight), 0) from room where express) < ${express.inFlightOfAll}::int)
      order by random() limit ${batch}
    ), chosen as (
      select turn.id as subscription_id, turn.name, turn.url, turn.state, delivery.id,
        turn.express and delivery.carrier is distinct from delivery.id as express, delivery.date_created
      from turn cross join lateral (
        select id, carrier, date_created from deliveries
        where subscription_id = turn.id and ${isWaiting}
          and (turn.state <> 'tripped' or turn.nominee is null or deliveries.id = turn.nominee)
        order by date_created, id limit least(turn.places, turn.share) for update skip locked
      ) delivery
    ), placed as ( -- by subscription: one that does not answer keeps few batches open
      select *, (row_number() over (partition by express order by subscription_id, date_created, id) - 1)::int as place
      from chosen
    ), probing as (
      update subscriptions
      set probe_delivery_id = chosen.id, next_probe_at = now() + ${probeLeaseMs} * interval '1 millisecond'
      from chosen
      where subscriptions.id = chosen.subscription_id and chosen.state = 'tripped'
    ), told as (
      update deliveries set started_at = now(), carrier = case
          when placed.express then (${batchIds}::uuid[])[placed.place / ${express.batchSize}::int + 1] else deliveries.id
        end
      from placed, events
      where deliveries.id = placed.id and events.id = deliveries.event_id
        and (not placed.express or placed.place < ${express.batches * express.batchSize}::int)
      returning deliveries.id, events.topic, placed.subscription_id as "subscriptionId", placed.name as subscription,
        placed.url, deliveries.attempt_count as "attemptCount",
        case when placed.express then deliveries.carrier end as batch
    )
    select (select json_agg(told) from told) as admitted,
      exists (
        select from room
        where state <> 'tripped' and (places <= 0 or gathers or express and not exists (select from turn where turn.id = room.id))
      ) as crowded
  `.execute(db);
  const { admitted, crowded } = rows[0] ?? { admitted: null, crowded: false };
  const [alone, together] = apart(admitted ?? []);
  return { admitted: alone, batches: together, crowded };
}

function apart(admitted: Admitted[]): [DeliveryToStart[], FirstAttemptsBatch[]] {
  const alone: DeliveryToStart[] = [];
  const batches = new Map<string, FirstAttemptsBatch>();
  for (const { batch: id, ...delivery } of admitted) {
    if (id === null) {
      alone.push(delivery);
      continue;
    }
    const batch = batches.get(id) ?? { id, deliveries: [] };
    batches.set(id, batch);
    const { subscriptionId, subscription } = delivery;
    batch.deliveries.push({ id: delivery.id, subscriptionId, subscription });
  }
  return [alone, [...batches.values()]];
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
