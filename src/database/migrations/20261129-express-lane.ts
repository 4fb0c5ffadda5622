import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

export async function up(db: AnyDatabase): Promise<void> {
  await sql`
    alter table subscriptions
      add column lane text not null default 'workflow' check (lane in ('workflow', 'express', 'auto'))
  `.execute(db);
  await changesAre(db, '(old.lane, old.name,', '(new.lane, new.name,');
  await sql`alter table deliveries add column carrier uuid`.execute(db);
  // So far each has a workflow of its own, those too that are held back; who has none yet gets one.
  await sql`update deliveries set carrier = id where state = 'pending'`.execute(db);
  await sql`drop index deliveries_to_start`.execute(db);
  await sql`
    create index deliveries_to_start on deliveries (subscription_id, date_created, id)
    where started_at is null and state = 'pending' and next_attempt_at is null
  `.execute(db);
  // Attempted in a batch, in vain; what is to follow takes a workflow of their own.
  await sql`
    create index deliveries_to_continue on deliveries (next_attempt_at)
    where started_at is null and state = 'pending' and next_attempt_at is not null
  `.execute(db);
}

/** What of a subscription matters to others than its books. */
async function changesAre(db: AnyDatabase, before: string, after: string): Promise<void> {
  const columns = (row: string): string =>
    `${row}.url, ${row}.patterns, ${row}.state, ${row}.headers_sealed, ${row}.secret_sealed)`;
  await sql`drop trigger subscription_changed on subscriptions`.execute(db);
  await sql`
    create trigger subscription_changed after update on subscriptions for each row
    when (${sql.raw(`${before} ${columns('old')}`)} is distinct from ${sql.raw(`${after} ${columns('new')}`)})
    execute function forgeflow_subscription_changed()
  `.execute(db);
}

export async function down(db: AnyDatabase): Promise<void> {
  await sql`drop index deliveries_to_continue, deliveries_to_start`.execute(db);
  await sql`
    create index deliveries_to_start on deliveries (subscription_id, date_created, id)
    where started_at is null and state = 'pending'
  `.execute(db);
  await sql`alter table deliveries drop column carrier`.execute(db);
  await changesAre(db, '(old.name,', '(new.name,');
  await sql`alter table subscriptions drop column lane`.execute(db);
}
