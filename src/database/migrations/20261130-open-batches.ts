import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

/** A batch asks what is its own of all that is under way: without reading the rows of all others. */
export async function up(db: AnyDatabase): Promise<void> {
  await deliveriesInFlight(db, 'subscription_id, started_at, carrier');
}

export async function down(db: AnyDatabase): Promise<void> {
  await deliveriesInFlight(db, 'subscription_id, started_at');
}

async function deliveriesInFlight(db: AnyDatabase, columns: string): Promise<void> {
  await sql`drop index deliveries_in_flight`.execute(db);
  await sql`
    create index deliveries_in_flight on deliveries (${sql.raw(columns)})
    where started_at is not null and state = 'pending' and next_attempt_at is null
  `.execute(db);
}
