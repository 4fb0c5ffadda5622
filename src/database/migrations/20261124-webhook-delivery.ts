import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

export async function up(db: AnyDatabase): Promise<void> {
  await db.schema
    .createTable('events')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('topic', 'varchar(255)', (column) => column.notNull())
    .addColumn('payload', 'text', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute();

  await db.schema
    .createTable('subscriptions')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('name', 'varchar(64)', (column) => column.notNull().unique())
    .addColumn('url', 'text', (column) => column.notNull())
    .addColumn('patterns', sql`text[]`, (column) => column.notNull())
    .addColumn('headers_sealed', 'bytea', (column) => column.notNull())
    .addColumn('secret_sealed', 'bytea', (column) => column.notNull())
    .addColumn('previous_secret_sealed', 'bytea')
    .addColumn('previous_secret_expires_at', 'timestamptz')
    .addColumn('state', 'text', (column) =>
      column
        .notNull()
        .defaultTo('active')
        .check(sql`state in ('active', 'paused', 'tripped')`),
    )
    .addColumn('consecutive_failures', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('last_success_at', 'timestamptz')
    .addColumn('last_failure_at', 'timestamptz')
    .addColumn('last_error', 'varchar(512)')
    .addColumn('tripped_at', 'timestamptz')
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute();

  await db.schema
    .createTable('deliveries')
    .addColumn('id', 'uuid', (column) => column.primaryKey())
    .addColumn('subscription_id', 'uuid', (column) =>
      column.notNull().references('subscriptions.id').onDelete('cascade'),
    )
    .addColumn('event_id', 'uuid', (column) => column.notNull().references('events.id'))
    .addColumn('state', 'text', (column) =>
      column
        .notNull()
        .defaultTo('pending')
        .check(sql`state in ('pending', 'delivered', 'failed', 'cancelled')`),
    )
    .addColumn('failure_detail', 'text')
    .addColumn('attempt_count', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('date_created', 'timestamptz', (column) => column.notNull())
    .addColumn('date_first_sent', 'timestamptz')
    .addColumn('date_sent', 'timestamptz')
    .addColumn('next_attempt_at', 'timestamptz')
    .addColumn('window_started_at', 'timestamptz')
    .addColumn('started_at', 'timestamptz')
    // One event reaches one subscription once, however many of its patterns match and however often it is published.
    .addUniqueConstraint('deliveries_event_subscription', ['event_id', 'subscription_id'])
    .execute();
  await sql`create index deliveries_newest on deliveries (date_created desc, id desc)`.execute(db);
  await sql`create index deliveries_of_subscription on deliveries (subscription_id, date_created desc)`.execute(db);
  await sql`create index deliveries_to_start on deliveries (date_created) where started_at is null`.execute(db);

  await db.schema
    .createTable('attempts')
    .addColumn('delivery_id', 'uuid', (column) => column.notNull().references('deliveries.id').onDelete('cascade'))
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('sent_at', 'timestamptz', (column) => column.notNull())
    .addColumn('duration_ms', 'integer', (column) => column.notNull())
    .addColumn('status_code', 'integer')
    .addColumn('connection_error', 'text')
    .addColumn('response_headers', 'jsonb')
    .addColumn('response_body', 'bytea')
    .addColumn('truncated', 'boolean', (column) => column.notNull())
    .addPrimaryKeyConstraint('attempts_pkey', ['delivery_id', 'number'])
    .execute();
}

export async function down(db: AnyDatabase): Promise<void> {
  for (const table of ['attempts', 'deliveries', 'subscriptions', 'events']) {
    await db.schema.dropTable(table).execute();
  }
}
