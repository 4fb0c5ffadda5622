import { type RawBuilder, sql } from 'kysely';
import type { Database } from './connection.ts';

/**
 * How far a sweep has come. Each chunk begins where the one before ended: what that one left behind, locked by others or
 * deleted and not yet vacuumed, is not read again.
 */
export interface SweptTo {
  /** As Postgres writes it: a `Date` would lose the microseconds. */
  at: string;
  id: string;
}

export const FROM_THE_OLDEST: SweptTo = { at: '-infinity', id: '00000000-0000-0000-0000-000000000000' };

export interface SweptChunk {
  deleted: number;
  /** Where to go on; null: there is no more. */
  next: SweptTo | null;
}

// In these statements, `= any(array(…))` and `lateral (… limit 1)` are joins that Postgres does not turn into others, which read a
// whole table when it takes a chunk for larger than it is.

/** As the index of deliveries that are over has it. */
function inUtc(time: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`(${time} at time zone 'UTC')`;
}

interface ChunkRow {
  found: number;
  deleted: number;
  at: string | null;
  id: string | null;
}

/**
 * Deletes deliveries that are over and older than the cutoff, the oldest first, with their attempts. Pending ones stay,
 * however old, and so does one that is queued again at this moment, since that locks it.
 * @param limit of the chunk, which is one short transaction
 */
export async function deleteOldDeliveries(
  db: Database,
  cutoff: Date,
  after: SweptTo,
  limit: number,
): Promise<SweptChunk> {
  const { rows } = await sql<ChunkRow>`
    with old as materialized (
      select id, date_created from deliveries
      where state <> 'pending' and ${inUtc(sql`date_created`)} < ${inUtc(sql`${cutoff}::timestamptz`)}
        and (${inUtc(sql`date_created`)}, id) > (${inUtc(sql`${after.at}::timestamptz`)}, ${after.id}::uuid)
      order by ${inUtc(sql`date_created`)}, id
      limit ${limit}
      for update skip locked
    ), deleted as (
      delete from deliveries where id = any(array(select id from old)) returning id
    ), last as (
      select date_created::text as at, id from old order by date_created desc, id desc limit 1
    )
    select (select count(*)::int from old) as found, (select count(*)::int from deleted) as deleted,
      (select at from last) as at, (select id from last) as id
  `.execute(db);
  return chunkOf(rows[0], limit);
}

/**
 * Looks at dispatched events older than the cutoff, the oldest first, and deletes those that have no deliveries left, or never had
 * any, and that nobody is still to read for jobs.
 * @param limit of the events looked at, in one short transaction
 */
export async function deleteOldEvents(db: Database, cutoff: Date, after: SweptTo, limit: number): Promise<SweptChunk> {
  const { rows } = await sql<ChunkRow>`
    with old as materialized (
      select id, created_at from events
      where dispatched_at is not null and created_at < ${cutoff} and (created_at, id) > (${after.at}::timestamptz, ${after.id}::uuid)
      order by created_at, id
      limit ${limit}
      for update skip locked
    ), free as (
      select old.id from old
      left join lateral (select event_id from deliveries where event_id = old.id limit 1) as delivery on true
      left join lateral (select event_id from job_events where event_id = old.id limit 1) as unread on true
      where delivery.event_id is null and unread.event_id is null
    ), deleted as (
      delete from events where id = any(array(select id from free)) returning id
    ), last as (
      select created_at::text as at, id from old order by created_at desc, id desc limit 1
    )
    select (select count(*)::int from old) as found, (select count(*)::int from deleted) as deleted,
      (select at from last) as at, (select id from last) as id
  `.execute(db);
  return chunkOf(rows[0], limit);
}

function chunkOf(row: ChunkRow | undefined, limit: number): SweptChunk {
  const { found, deleted, at, id } = row ?? { found: 0, deleted: 0, at: null, id: null };
  return { deleted, next: found < limit || at === null || id === null ? null : { at, id } };
}
