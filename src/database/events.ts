import { sql } from 'kysely';
import pg from 'pg';
import { SMALL_PAYLOAD } from '../domain/first-attempts.ts';
import { isInFlight, isWaiting } from './admission.ts';
import { type BatchPlaces, batchOfSeat, seatsOf } from './batch-seats.ts';
import type { Database } from './connection.ts';
import { JOB_TOPICS } from './job-events.ts';
import { preparedAs } from './prepared.ts';

export interface NewEvent {
  id: string;
  topic: string;
  /** JSON text. */
  payload: string;
  /** What makes two publications the same event, besides its id; null: nothing does. */
  dedupeKey?: string | null;
}

/** Publishes: from the commit on the relays of all workers see it. @returns the event's id, and whether it was there already */
export async function insertEvent(
  db: Database,
  { id, topic, payload, dedupeKey = null }: NewEvent,
): Promise<{ id: string; duplicate: boolean }> {
  for (;;) {
    const stored = await db
      .insertInto('events')
      .values({ id, topic, payload, dedupe_key: dedupeKey })
      .onConflict((conflict) => conflict.doNothing())
      .returning('id')
      .executeTakeFirst();
    if (stored !== undefined) return { id, duplicate: false };
    const known = await db
      .selectFrom('events')
      .select('id')
      .where((where) => where.or([where('id', '=', id), where('dedupe_key', '=', dedupeKey)]))
      .executeTakeFirst();
    if (known !== undefined) return { id: known.id, duplicate: true };
    // It was so old that it was deleted between the two, which makes this one new.
  }
}

/**
 * The same for many, in one statement.
 * @param waitMs for somebody's open transaction that has published one of them
 * @returns the ids of those that are new
 * @throws Postgres' error for any of them; none is stored then
 */
export async function insertEvents(db: Database, events: NewEvent[], waitMs: number): Promise<Set<string>> {
  const { rows } = await sql<{ id: string }>`
    ${preparedAs('insert-events')}
    insert into events (id, topic, payload, dedupe_key)
    select event.* from (select set_config('lock_timeout', ${String(waitMs)}, true)) as waiting (no_longer_than)
      cross join unnest(
        ${events.map(({ id }) => id)}::uuid[],
        ${events.map(({ topic }) => topic)}::text[],
        ${events.map(({ payload }) => payload)}::text[],
        ${events.map(({ dedupeKey = null }) => dedupeKey)}::text[]
      ) as event (id, topic, payload, dedupe_key)
    on conflict do nothing
    returning id
  `.execute(db);
  return new Set(rows.map(({ id }) => id));
}

/** Whether an event was not stored since Postgres reads no JSON that is nested so deep; a transaction is over with that. */
export function isNestedTooDeep(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '54001';
}

/**
 * Stores an event together with its one delivery, so that no pattern is asked.
 * @returns false when the subscription was paused or deleted meanwhile, and nothing was stored
 */
export async function insertEventFor(
  db: Database,
  event: NewEvent,
  delivery: { id: string; subscriptionId: string },
): Promise<boolean> {
  const { rows } = await sql<{ id: string }>`
    with subscription as (
      select id from subscriptions where id = ${delivery.subscriptionId} and state <> 'paused' for key share
    ), event as (
      insert into events (id, topic, payload, dispatched_at)
      select ${event.id}, ${event.topic}, ${event.payload}, now() from subscription
      returning id
    )
    insert into deliveries (id, subscription_id, event_id, date_created)
    select ${delivery.id}, subscription.id, event.id, now() from event cross join subscription
    returning id
  `.execute(db);
  return rows.length === 1;
}

export interface UndispatchedEvent {
  id: string;
  topic: string;
  /** Null where it is large, or not asked for. */
  payload: string | null;
  /** How long ago it was published. */
  lateMs: number;
}

/** The oldest events that nobody has dispatched, or is about to: they are this transaction's. */
export async function takeUndispatchedEvents(
  db: Database,
  limit: number,
  { withPayloads = false } = {},
): Promise<UndispatchedEvent[]> {
  return db
    .selectFrom('events')
    .modifyFront(preparedAs('take-events'))
    .select([
      'id',
      'topic',
      sql<
        string | null
      >`case when octet_length(payload) <= ${withPayloads ? SMALL_PAYLOAD : -1}::int then payload end`.as('payload'),
      sql<number>`(1000 * extract(epoch from now() - created_at))::float8`.as('lateMs'),
    ])
    .where('dispatched_at', 'is', null)
    .orderBy('created_at')
    .orderBy('id')
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute();
}

export interface PlannedDelivery {
  id: string;
  eventId: string;
  subscriptionId: string;
}

export interface QuickPlaces {
  /** Batches that take more. */
  underWay: BatchPlaces[];
  /** Deliveries of a subscription under way at once. */
  inFlight: number;
  /** The most deliveries of a subscription that may still wait when newer ones go out. */
  overtaken: number;
}

/** A delivery that is written, and goes out with a batch that is under way if there is a place. */
export interface WrittenDelivery {
  id: string;
  batchId: string | null;
}

/**
 * Writes the deliveries of events, notes those that may call for jobs, and marks all of them dispatched, in one statement. A
 * subscription that was paused or deleted since it was found to be interested gets none. Those of the express lane get the places
 * that there are, unless many others of their subscription wait, or its last attempt failed: then they wait for their turn.
 */
export async function dispatchEvents(
  db: Database,
  eventIds: string[],
  planned: PlannedDelivery[],
  { underWay, inFlight, overtaken }: QuickPlaces = { underWay: [], inFlight: 0, overtaken: 0 },
): Promise<WrittenDelivery[]> {
  const seats = seatsOf(underWay);
  const { rows } = await sql<WrittenDelivery>`
    ${preparedAs('dispatch-events')}
    with dispatched as (
      update events set dispatched_at = now() where id = any(${eventIds}::uuid[])
    ), for_jobs as (
      insert into job_events (event_id)
      select id from events where id = any(${eventIds}::uuid[]) and topic = any(${JOB_TOPICS}::text[])
      on conflict (event_id) do nothing
    ), wanted as (
      select planned.id, planned.event_id, planned.nth, subscriptions.id as subscription_id,
        ${seats.count > 0} and lane = 'express' and subscriptions.state = 'active' and consecutive_failures = 0
          and last_success_at is not null as quick
      from unnest(
        ${planned.map(({ id }) => id)}::uuid[],
        ${planned.map(({ subscriptionId }) => subscriptionId)}::uuid[],
        ${planned.map(({ eventId }) => eventId)}::uuid[]
      ) with ordinality as planned (id, subscription_id, event_id, nth)
      join subscriptions on subscriptions.id = planned.subscription_id and subscriptions.state <> 'paused'
      for key share of subscriptions -- one that is being deleted is waited for, and then left out
    ), room as (
      select quick.subscription_id, ${inFlight}::int - (
          select count(*)::int from deliveries
          where deliveries.subscription_id = quick.subscription_id and ${isInFlight}
        ) as places
      from (select distinct subscription_id from wanted where quick) as quick
      where ${overtaken}::int >= (
        select count(*) from (
          select from deliveries where deliveries.subscription_id = quick.subscription_id and ${isWaiting}
          limit ${overtaken}::int + 1
        ) as before
      )
    ), numbered as (
      select wanted.*, room.places, row_number() over (partition by wanted.subscription_id order by nth) as of_its_own
      from wanted left join room using (subscription_id)
    ), seated as (
      select *, case when of_its_own <= places
          then (row_number() over (partition by of_its_own <= places order by nth))::int
        end as seat
      from numbered
    ), written as (
      insert into deliveries (id, subscription_id, event_id, date_created, started_at, carrier)
      select id, subscription_id, event_id, now(), case when seat <= ${seats.count}::int then now() end,
        case when seat <= ${seats.count}::int then ${batchOfSeat(seats, sql`seat`)} end
      from seated
      on conflict (event_id, subscription_id) do nothing
      returning id, carrier
    )
    select id, carrier as "batchId" from written
  `.execute(db);
  return rows;
}

export interface EventBacklog {
  /** Events that are stored and not dispatched yet. */
  count: number;
  oldestAt: Date | null;
}

export async function readEventBacklog(db: Database): Promise<EventBacklog> {
  return db
    .selectFrom('events')
    .select([sql<number>`count(*)::int`.as('count'), sql<Date | null>`min(created_at)`.as('oldestAt')])
    .where('dispatched_at', 'is', null)
    .executeTakeFirstOrThrow();
}

/** What was published on a topic since then, the oldest first; nothing where that is null. With the database's own time. */
export async function readSince(
  db: Database,
  topic: string,
  since: Date | null,
): Promise<{ now: Date; payloads: string[] }> {
  const { rows } = await sql<{ now: Date; payloads: string[] }>`
    select now() as now, array(
      select payload from events where topic = ${topic} and created_at > ${since}::timestamptz order by created_at
    ) as payloads
  `.execute(db);
  return rows[0] ?? { now: new Date(), payloads: [] };
}
