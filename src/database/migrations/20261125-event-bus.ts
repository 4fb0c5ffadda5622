import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

export async function up(db: AnyDatabase): Promise<void> {
  await eventsAsOutbox(db);
  await subscriptionChanges(db);
  await circuitBreaker(db);
  await db.schema
    .createTable('gitlab_hooks')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('token_hash', 'bytea', (column) => column.notNull().unique())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute();
}

/** What JavaScript calls white space, by code points: what Postgres calls so depends on the locale of the database. */
const BLANK = String.raw`\u0001-\u0020\u007f\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff`;
const TOKEN = `[^.*>${BLANK}]+`;

/** Any application may publish by plain SQL, so the table itself says what an event is. */
async function eventsAsOutbox(db: AnyDatabase): Promise<void> {
  // RFC 9562: 48 bits of Unix time in ms, then random; a version 4 has its version in bits 48–51 as 0100, here it is 0111.
  await sql`
    create function forgeflow_uuidv7() returns uuid language sql volatile as $$
      select encode(
        set_bit(set_bit(
          substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
            || substring(uuid_send(gen_random_uuid()) from 7),
          52, 1), 53, 1),
        'hex')::uuid
    $$
  `.execute(db);
  await sql`
    alter table events
      alter column id set default forgeflow_uuidv7(),
      add column dedupe_key text unique,
      add column dispatched_at timestamptz,
      add constraint events_topic_is_dotted_tokens check (topic ~ '${sql.raw(`^${TOKEN}([.]${TOKEN})*$`)}'),
      add constraint events_payload_is_json check (payload::json is not null),
      add constraint events_payload_has_1_mib_at_most check (octet_length(payload) <= 1048576)
  `.execute(db);
  // Those published so far have their deliveries.
  await sql`update events set dispatched_at = created_at`.execute(db);
  await sql`create index events_to_dispatch on events (created_at, id) where dispatched_at is null`.execute(db);
  await sql`create index events_control on events (created_at) where topic = 'system.webhook.control'`.execute(db);
  // One notification a statement: they are serialized at commit, all over the database.
  await sql`
    create function forgeflow_events_published() returns trigger language plpgsql as $$
    begin
      perform pg_notify('forgeflow_events', '');
      return null;
    end $$
  `.execute(db);
  await sql`
    create trigger events_published after insert on events
    for each statement execute function forgeflow_events_published()
  `.execute(db);
  // What all workers must hear of, whoever dispatches it. A payload of Postgres' has less than 8000 bytes.
  await sql`
    create function forgeflow_control_published() returns trigger language plpgsql as $$
    begin
      perform pg_notify('forgeflow_control', left(new.payload, 1000));
      return null;
    end $$
  `.execute(db);
  await sql`
    create trigger control_published after insert on events
    for each row when (new.topic = 'system.webhook.control') execute function forgeflow_control_published()
  `.execute(db);
}

/** Whatever a matcher depends on has a version, read together with the events that it is to match. */
async function subscriptionChanges(db: AnyDatabase): Promise<void> {
  await sql`create table subscription_changes (version bigint not null)`.execute(db);
  await sql`insert into subscription_changes values (0)`.execute(db);
  await sql`
    create function forgeflow_subscription_changed() returns trigger language plpgsql as $$
    declare
      subscription subscriptions%rowtype;
      change text;
    begin
      if tg_op = 'DELETE' then subscription := old; else subscription := new; end if;
      change := case
        when tg_op = 'INSERT' then 'created'
        when tg_op = 'DELETE' then 'deleted'
        when old.state is distinct from new.state then case new.state when 'active' then 'enabled' else new.state end
        else 'changed'
      end;
      update subscription_changes set version = version + 1;
      insert into events (topic, payload) values (
        'system.webhook.subscriptions_changed',
        json_build_object('subscription', subscription.name, 'change', change, 'state', subscription.state)::text
      );
      perform pg_notify('forgeflow_subscriptions', '');
      return null;
    end $$
  `.execute(db);
  await sql`
    create trigger subscription_created_or_deleted after insert or delete on subscriptions
    for each row execute function forgeflow_subscription_changed()
  `.execute(db);
  // Not for the books, which change with every attempt.
  await sql`
    create trigger subscription_changed after update on subscriptions for each row
    when ((old.name, old.url, old.patterns, old.state, old.headers_sealed, old.secret_sealed)
      is distinct from (new.name, new.url, new.patterns, new.state, new.headers_sealed, new.secret_sealed))
    execute function forgeflow_subscription_changed()
  `.execute(db);
}

async function circuitBreaker(db: AnyDatabase): Promise<void> {
  await sql`alter table subscriptions add column next_probe_at timestamptz, add column probe_delivery_id uuid`.execute(
    db,
  );
  await sql`drop index deliveries_to_start`.execute(db);
  await sql`
    create index deliveries_to_start on deliveries (subscription_id, date_created, id)
    where started_at is null and state = 'pending'
  `.execute(db);
  await sql`
    create index deliveries_in_flight on deliveries (subscription_id, started_at)
    where started_at is not null and state = 'pending' and next_attempt_at is null
  `.execute(db);
}

export async function down(db: AnyDatabase): Promise<void> {
  await db.schema.dropTable('gitlab_hooks').execute();
  await sql`drop index deliveries_in_flight, deliveries_to_start`.execute(db);
  await sql`create index deliveries_to_start on deliveries (date_created) where started_at is null`.execute(db);
  await sql`drop trigger subscription_changed on subscriptions`.execute(db);
  await sql`drop trigger subscription_created_or_deleted on subscriptions`.execute(db);
  await sql`alter table subscriptions drop column next_probe_at, drop column probe_delivery_id`.execute(db);
  await db.schema.dropTable('subscription_changes').execute();
  await sql`drop trigger events_published on events`.execute(db);
  await sql`drop trigger control_published on events`.execute(db);
  await sql`drop index events_control`.execute(db);
  await sql`
    alter table events
      alter column id drop default,
      drop column dedupe_key, drop column dispatched_at,
      drop constraint events_topic_is_dotted_tokens,
      drop constraint events_payload_is_json,
      drop constraint events_payload_has_1_mib_at_most
  `.execute(db);
  for (const name of ['control_published', 'events_published', 'subscription_changed', 'uuidv7']) {
    await sql.raw(`drop function forgeflow_${name}()`).execute(db);
  }
}
