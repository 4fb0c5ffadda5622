import { sql } from 'kysely';
import type { Database } from '../../src/database/connection.ts';
import type { DeliveryState } from '../../src/domain/delivery.ts';

export const DAY_MS = 24 * 3_600_000;

export interface OldRows {
  count: number;
  /** Of the first; each next one is a millisecond younger. */
  daysOld: number;
  /** Of their deliveries; null: events that nobody wanted. */
  state: DeliveryState | null;
  /** For each delivery. */
  attempts?: number;
  topic?: string;
  /** Of payloads, and of receivers' answers, in bytes. */
  size?: number;
  /** What stands for the subscription's secret, where workers are to open it. */
  sealed?: Buffer;
}

/** Dispatched events, each with a delivery to one subscription made for them all. @returns the deliveries' ids, the oldest first */
export async function insertOld(db: Database, rows: OldRows): Promise<string[]> {
  const { count, daysOld, state, attempts = 0, topic = 'old.news', size = 20, sealed = Buffer.alloc(0) } = rows;
  const { rows: inserted } = await sql<{ id: string | null }>`
    with subscription as (
      insert into subscriptions (id, name, url, patterns, headers_sealed, secret_sealed)
      select gen_random_uuid(), gen_random_uuid()::text, 'https://example.com', '{nothing}', ${sealed}, ${sealed}
      returning id
    ), numbered as (
      select n, gen_random_uuid() as event_id, gen_random_uuid() as id,
        ${new Date(Date.now() - daysOld * DAY_MS)}::timestamptz + n * interval '1 ms' as at
      from generate_series(1, ${count}::int) as n
    ), event as (
      insert into events (id, topic, payload, created_at, dispatched_at)
      select event_id, ${topic}, json_build_object('text', repeat('x', ${size}::int))::text, at, at from numbered
      returning id
    ), delivery as (
      insert into deliveries (id, subscription_id, event_id, state, date_created, started_at)
      select numbered.id, subscription.id, event.id, ${state}::text, at, at
      from numbered join event on event.id = event_id cross join subscription
      where ${state}::text is not null
      returning id
    ), attempt as (
      insert into attempts (delivery_id, number, sent_at, duration_ms, status_code, response_body, truncated)
      select delivery.id, number, now(), 1, 500, convert_to(repeat('y', ${size}::int), 'UTF8'), false
      from delivery cross join generate_series(1, ${attempts}::int) as number
    )
    select delivery.id from numbered left join delivery using (id) order by n
  `.execute(db);
  return inserted.flatMap(({ id }) => id ?? []);
}

export interface RecordCounts {
  deliveries: number;
  attempts: number;
  events: number;
}

/** Events that forgeflow tells of itself left out. */
export async function countRecords(db: Database): Promise<RecordCounts> {
  const { rows } = await sql<RecordCounts>`
    select (select count(*)::int from deliveries) as deliveries, (select count(*)::int from attempts) as attempts,
      (select count(*)::int from events where topic not like 'system.%') as events
  `.execute(db);
  return rows[0]!;
}

export async function deleteAllRecords(db: Database): Promise<void> {
  await sql`truncate events, subscriptions cascade`.execute(db);
}
