import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

export async function up(db: AnyDatabase): Promise<void> {
  await owners(db);
  await hooks(db);
  await runs(db);
}

/** What GitLab has hooks for, and how far the listing of it has come. */
async function owners(db: AnyDatabase): Promise<void> {
  await db.schema
    .createTable('gitlab_groups')
    .addColumn('id', 'integer', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('gitlab_id', 'bigint', (column) => column.notNull().unique())
    .addColumn('path', 'text', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute();
  await db.schema
    .createTable('repositories')
    .addColumn('id', 'integer', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('gitlab_id', 'bigint', (column) => column.notNull().unique())
    // Not unique: what moves away leaves its path to another one, which may be seen there first.
    .addColumn('path', 'text', (column) => column.notNull())
    .addColumn('group_id', 'integer', (column) => column.references('gitlab_groups.id').onDelete('set null'))
    .addColumn('last_seen_at', 'timestamptz', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute();
  await sql`create index repositories_by_path on repositories (lower(path))`.execute(db);
  await sql`create index repositories_of_group on repositories (group_id)`.execute(db);
  await db.schema
    .createTable('gitlab_listings')
    .addColumn('scope', 'text', (column) => column.primaryKey())
    .addColumn('cursor', 'bigint')
    .addColumn('started_at', 'timestamptz', (column) => column.notNull())
    .addColumn('completed_at', 'timestamptz')
    .execute();
}

/** A row for each owner, whether it has a hook or not; and, without an owner, tokens that somebody entered by hand. */
async function hooks(db: AnyDatabase): Promise<void> {
  await sql`
    alter table gitlab_hooks
      alter column id set default forgeflow_uuidv7(),
      alter column token_hash drop not null,
      add column previous_token_hash bytea,
      add column repository_id integer unique references repositories on delete cascade,
      add column group_id integer unique references gitlab_groups on delete cascade,
      add column state text not null default 'pending' check (state in (
        'pending', 'installed', 'covered', 'not_found', 'no_access', 'invalid_credentials', 'error'
      )),
      add column reason varchar(512),
      add column gitlab_hook_id bigint,
      add column secret_id uuid,
      add column secret_sealed bytea,
      add column secret_arrived boolean not null default false,
      add column alert_status text,
      add column disabled_until timestamptz,
      add column installed_at timestamptz,
      add column last_checked_at timestamptz,
      add column due_at timestamptz not null default now(),
      add column failures integer not null default 0,
      add column last_run_id text,
      add column last_outcome text,
      add constraint gitlab_hooks_have_one_owner_at_most check (num_nonnulls(repository_id, group_id) <= 1),
      add constraint gitlab_hooks_know_the_secret_whole check (
        (secret_id is null) = (secret_sealed is null) and (secret_id is null or token_hash is not null)
      )
  `.execute(db);
  await sql`
    create index gitlab_hooks_previous_token on gitlab_hooks (previous_token_hash) where previous_token_hash is not null
  `.execute(db);
  // In the order in which they are taken.
  await sql`
    create index gitlab_hooks_to_check on gitlab_hooks ((group_id is null), last_checked_at nulls first, id)
    where state <> 'covered' and (repository_id is not null or group_id is not null)
  `.execute(db);
  await sql`
    create index gitlab_hooks_due on gitlab_hooks (due_at)
    where state <> 'covered' and (repository_id is not null or group_id is not null)
  `.execute(db);
  await sql`create index gitlab_hooks_of_run on gitlab_hooks (last_run_id, last_outcome)`.execute(db);
}

async function runs(db: AnyDatabase): Promise<void> {
  await db.schema
    .createTable('gitlab_runs')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('workflow_id', 'text', (column) => column.notNull())
    .addColumn('repository', 'text')
    .addColumn('started_at', 'timestamptz', (column) => column.notNull())
    .addColumn('finished_at', 'timestamptz')
    .addColumn('ended_early', 'text')
    .addColumn('retry_at', 'timestamptz')
    .addColumn('error', 'varchar(512)')
    .addColumn('counts', 'jsonb')
    .addColumn('remaining', 'integer')
    .execute();
  await sql`create index gitlab_runs_newest on gitlab_runs (started_at desc)`.execute(db);
}

/** Tokens that are in use go on working, but for those before the last change. */
export async function down(db: AnyDatabase): Promise<void> {
  for (const table of ['gitlab_runs', 'gitlab_listings']) await db.schema.dropTable(table).execute();
  await sql`drop index gitlab_hooks_to_check, gitlab_hooks_due`.execute(db);
  await sql`delete from gitlab_hooks where token_hash is null`.execute(db);
  await sql`
    alter table gitlab_hooks
      alter column id drop default,
      alter column token_hash set not null,
      drop column previous_token_hash, drop column repository_id, drop column group_id, drop column state,
      drop column reason, drop column gitlab_hook_id, drop column secret_id, drop column secret_sealed,
      drop column secret_arrived, drop column alert_status, drop column disabled_until, drop column installed_at,
      drop column last_checked_at, drop column due_at, drop column failures, drop column last_run_id,
      drop column last_outcome
  `.execute(db);
  for (const table of ['repositories', 'gitlab_groups']) await db.schema.dropTable(table).execute();
}
