import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

/** In the order in which a sweep takes them, and without what it must not take: so it reads what it deletes and no more. */
export async function up(db: AnyDatabase): Promise<void> {
  // By the time in UTC, which no other index has: nearly all deliveries are over, so that by their dates alone Postgres would
  // as soon take the index of all, and read those that are pending again and again.
  await sql`
    create index deliveries_over on deliveries ((date_created at time zone 'UTC'), id) where state <> 'pending'
  `.execute(db);
  await sql`create index events_dispatched on events (created_at, id) where dispatched_at is not null`.execute(db);
}

export async function down(db: AnyDatabase): Promise<void> {
  await sql`drop index deliveries_over, events_dispatched`.execute(db);
}
