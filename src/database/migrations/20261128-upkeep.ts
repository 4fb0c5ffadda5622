import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

export async function up(db: AnyDatabase): Promise<void> {
  await people(db);
  await commits(db);
  await checks(db);
  await coverage(db);
  await repositories(db);
}

/** Users of GitLab, the emails they have proved to be theirs, and what they may see. */
async function people(db: AnyDatabase): Promise<void> {
  await sql`
    create table users (
      id integer primary key generated always as identity,
      gitlab_id bigint not null unique,
      username text not null,
      name text not null,
      emails_read_at timestamptz,
      permissions_read_at timestamptz,
      created_at timestamptz not null default now()
    )
  `.execute(db);
  await sql`
    create table user_emails (
      user_id integer not null references users on delete cascade,
      email_key text not null,
      primary key (user_id, email_key)
    )
  `.execute(db);
  await sql`create index user_emails_key on user_emails (email_key)`.execute(db);
  await sql`
    create table permissions (
      repository_id integer not null references repositories on delete cascade,
      user_id integer not null references users on delete cascade,
      role text not null check (role in ('reader', 'developer', 'maintainer', 'owner')),
      primary key (repository_id, user_id)
    )
  `.execute(db);
  await sql`create index permissions_user on permissions (user_id)`.execute(db);
}

async function commits(db: AnyDatabase): Promise<void> {
  await sql`
    create table commits (
      id integer primary key generated always as identity,
      repository_id integer not null references repositories on delete cascade,
      sha text not null,
      state text not null default 'queued' check (state in ('queued', 'in_progress', 'completed', 'errored')),
      failure text,
      author_name text,
      author_email text,
      author_email_key text,
      author_id integer references users on delete set null,
      authored_at timestamptz,
      title text,
      size_bytes bigint,
      checks_state text not null default 'unknown'
        check (checks_state in ('unknown', 'not_configured', 'pending', 'success', 'failure', 'error')),
      checks_detail text,
      checks_run integer not null default 0,
      created_at timestamptz not null default now(),
      processed_at timestamptz,
      unique (repository_id, sha)
    )
  `.execute(db);
  await sql`create index commits_newest on commits (repository_id, id desc)`.execute(db);
  await sql`create index commits_author on commits (author_id) where author_id is not null`.execute(db);
  await sql`create index commits_author_email on commits (author_email_key)`.execute(db);
  await sql`
    create table branches (
      repository_id integer not null references repositories on delete cascade,
      name text not null,
      head_sha text not null,
      covered integer,
      total integer,
      coverage_sha text,
      updated_at timestamptz not null default now(),
      primary key (repository_id, name)
    )
  `.execute(db);
  await sql`create index branches_head on branches (repository_id, head_sha)`.execute(db);
  // What GitLab was last told of a commit, so that it is told of nothing twice.
  await sql`
    create table commit_statuses (
      commit_id integer not null references commits on delete cascade,
      name text not null,
      state text not null,
      description text not null,
      posted_at timestamptz not null default now(),
      primary key (commit_id, name)
    )
  `.execute(db);
}

async function checks(db: AnyDatabase): Promise<void> {
  await sql`
    create table checks (
      id integer primary key generated always as identity,
      commit_id integer not null references commits on delete cascade,
      run integer not null,
      plugin text not null,
      state text not null default 'waiting' check (state in ('waiting', 'running', 'completed', 'failed')),
      problems integer,
      omitted integer,
      reason text,
      printed text,
      started_at timestamptz,
      finished_at timestamptz,
      unique (commit_id, plugin)
    )
  `.execute(db);
  await sql`
    create table problems (
      check_id integer not null references checks on delete cascade,
      number integer not null,
      path text,
      line integer,
      "column" integer,
      rule_id text,
      level text not null,
      message text not null,
      primary key (check_id, number)
    )
  `.execute(db);
  // Those of one repository, or of all where none is named.
  await sql`
    create table secrets (
      id integer primary key generated always as identity,
      repository_id integer references repositories on delete cascade,
      name text not null,
      value_sealed bytea not null,
      updated_at timestamptz not null default now(),
      unique nulls not distinct (repository_id, name)
    )
  `.execute(db);
}

async function coverage(db: AnyDatabase): Promise<void> {
  await sql`
    create table coverage_reports (
      id integer primary key generated always as identity,
      repository_id integer not null references repositories on delete cascade,
      sha text not null,
      content bytea,
      size_bytes integer not null,
      state text not null default 'held' check (state in ('held', 'processed', 'replaced', 'dropped', 'failed')),
      problem text,
      received_at timestamptz not null default now(),
      finished_at timestamptz
    )
  `.execute(db);
  // They are compressed before they come here.
  await sql`alter table coverage_reports alter column content set storage external`.execute(db);
  await sql`create index coverage_reports_newest on coverage_reports (repository_id, id desc)`.execute(db);
  await sql`create index coverage_reports_held on coverage_reports (repository_id, sha) where state = 'held'`.execute(
    db,
  );
  await sql`
    create table commit_coverage (
      commit_id integer primary key references commits on delete cascade,
      format text not null check (format in ('lcov', 'cobertura')),
      covered integer not null,
      total integer not null,
      min_percent double precision,
      excluded_files integer not null,
      is_enough boolean not null,
      description text not null,
      report_id integer not null,
      processed_at timestamptz not null default now()
    )
  `.execute(db);
  await sql`
    create table coverage_files (
      commit_id integer not null references commit_coverage on delete cascade,
      number integer not null,
      path text not null,
      covered integer not null,
      total integer not null,
      primary key (commit_id, number)
    )
  `.execute(db);
  // Of branches, as their heads came to be covered; a commit stands there once for each branch.
  await sql`
    create table coverage_history (
      id integer primary key generated always as identity,
      repository_id integer not null references repositories on delete cascade,
      branch text not null,
      commit_id integer not null references commits on delete cascade,
      covered integer not null,
      total integer not null,
      at timestamptz not null default now(),
      unique (repository_id, branch, commit_id)
    )
  `.execute(db);
  await sql`create index coverage_history_commit on coverage_history (commit_id)`.execute(db); // for those that go
}

async function repositories(db: AnyDatabase): Promise<void> {
  await sql`
    alter table repositories
      add column commits_size bigint,
      add column token_hash bytea,
      add column permissions_read_at timestamptz,
      add column branches_read_at timestamptz,
      add column gone_at timestamptz
  `.execute(db);
  await sql`
    alter table gitlab_groups
      add column listed_at timestamptz,
      add column listed integer,
      add column listing_changes jsonb
  `.execute(db);
}

export async function down(db: AnyDatabase): Promise<void> {
  await sql`alter table gitlab_groups drop column listed_at, drop column listed, drop column listing_changes`.execute(
    db,
  );
  await sql`
    alter table repositories
      drop column commits_size, drop column token_hash, drop column permissions_read_at,
      drop column branches_read_at, drop column gone_at
  `.execute(db);
  await sql`
    drop table coverage_history, coverage_files, commit_coverage, coverage_reports, secrets, problems, checks,
      commit_statuses, branches, commits, permissions, user_emails, users
  `.execute(db);
}
