import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

export async function up(db: AnyDatabase): Promise<void> {
  await trackedRepositories(db);
  await mergeRequests(db);
  await triggers(db);
}

/** Of those that GitLab lists, the ones that somebody wants cloned, indexed and looked after. */
async function trackedRepositories(db: AnyDatabase): Promise<void> {
  await sql`
    alter table repositories
      add column tracked_at timestamptz,
      add column default_branch text,
      add column head_sha text,
      add column required_approvals integer check (required_approvals >= 0),
      add column fetched_at timestamptz,
      add column clone_bytes bigint
  `.execute(db);
  await sql`create index repositories_tracked on repositories (lower(path)) where tracked_at is not null`.execute(db);
}

async function mergeRequests(db: AnyDatabase): Promise<void> {
  await db.schema
    .createTable('merge_requests')
    .addColumn('id', 'integer', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('repository_id', 'integer', (column) =>
      column.notNull().references('repositories.id').onDelete('cascade'),
    )
    .addColumn('gitlab_id', 'bigint', (column) => column.notNull().unique())
    .addColumn('iid', 'integer', (column) => column.notNull())
    .addColumn('title', 'text', (column) => column.notNull())
    .addColumn('source_branch', 'text', (column) => column.notNull())
    .addColumn('target_branch', 'text', (column) => column.notNull())
    .addColumn('source_gitlab_project_id', 'bigint')
    .addColumn('head_sha', 'text')
    .addColumn('is_draft', 'boolean', (column) => column.notNull())
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('opened', 'closed', 'merged', 'locked')`),
    )
    .addColumn('reviewers', sql`bigint[]`)
    .addColumn('gitlab_updated_at', 'timestamptz')
    .addColumn('revision', 'integer', (column) => column.notNull().defaultTo(0))
    .addColumn('merge_state', 'text', (column) =>
      column
        .notNull()
        .defaultTo('unknown')
        .check(sql`merge_state in ('draft', 'dirty', 'behind', 'clean', 'unknown')`),
    )
    .addColumn('mergeable', 'boolean')
    .addColumn('rebaseable', 'boolean')
    .addColumn('ahead', 'integer')
    .addColumn('behind', 'integer')
    .addColumn('changed_files', 'integer')
    .addColumn('additions', 'integer')
    .addColumn('deletions', 'integer')
    .addColumn('computed_head', 'text')
    .addColumn('computed_base', 'text')
    .addColumn('mergeability_at', 'timestamptz')
    .addColumn('review_decision', 'text', (column) =>
      column.check(sql`review_decision in ('approved', 'changes_requested', 'review_required')`),
    )
    .addColumn('status_rollup', 'text', (column) =>
      column.check(sql`status_rollup in ('expected', 'success', 'pending', 'failure', 'error')`),
    )
    .addColumn('decided_head', 'text')
    .addColumn('decided_at', 'timestamptz')
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addUniqueConstraint('merge_requests_number', ['repository_id', 'iid'])
    .execute();
  // What events lead to: those of a branch, and those of a commit.
  await sql`
    create index merge_requests_into on merge_requests (repository_id, target_branch) where state = 'opened'
  `.execute(db);
  await sql`
    create index merge_requests_from on merge_requests (source_gitlab_project_id, source_branch) where state = 'opened'
  `.execute(db);
  await sql`create index merge_requests_at on merge_requests (head_sha) where state = 'opened'`.execute(db);
}

/** Events that are still to be read for what they mean to jobs, and jobs that Temporal is still to be told of. */
async function triggers(db: AnyDatabase): Promise<void> {
  await db.schema
    .createTable('job_events')
    .addColumn('event_id', 'uuid', (column) => column.primaryKey().references('events.id').onDelete('cascade'))
    .execute();
  await db.schema
    .createTable('job_requests')
    .addColumn('id', 'bigint', (column) => column.primaryKey().generatedAlwaysAsIdentity())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('payload', 'jsonb', (column) => column.notNull())
    .addColumn('created_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .execute();
}

export async function down(db: AnyDatabase): Promise<void> {
  for (const table of ['job_requests', 'job_events', 'merge_requests']) await db.schema.dropTable(table).execute();
  await sql`
    alter table repositories
      drop column tracked_at, drop column default_branch, drop column head_sha, drop column required_approvals,
      drop column fetched_at, drop column clone_bytes
  `.execute(db);
}
