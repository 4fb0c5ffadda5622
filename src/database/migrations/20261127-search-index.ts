import { type Kysely, sql } from 'kysely';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a migration outlives the types of today's tables
type AnyDatabase = Kysely<any>;

export async function up(db: AnyDatabase): Promise<void> {
  const trigrams = await trigramOperators(db);
  await sql`
    create table search_indexes (
      repository_id integer primary key references repositories on delete cascade,
      format integer not null,
      commit_sha text,
      indexed_at timestamptz not null,
      files integer not null,
      truncated boolean not null,
      next_file integer not null,
      stale_files integer not null
    )
  `.execute(db);
  // No foreign keys here: looking each one up takes as long as the rest of writing a row. See the trigger below.
  await sql`
    create table search_files (
      repository_id integer not null,
      number integer not null,
      path_key bytea not null,
      path text not null,
      kind text not null,
      object_id bytea not null,
      content text,
      primary key (repository_id, number),
      unique (repository_id, path_key) deferrable initially deferred
    )
  `.execute(db);
  await sql`create index search_files_objects on search_files (repository_id, object_id)`.execute(db);
  // Its rows are made to fit on a page; compressing them would cost more than it saves.
  await sql`
    create table search_words (
      repository_id integer not null,
      segment integer not null,
      number integer not null,
      kind text not null,
      words text not null,
      files bytea not null,
      primary key (repository_id, segment, number)
    ) with (toast_tuple_target = 8160)
  `.execute(db);
  // Long words are keys and encoded data nearly all: many trigrams, hardly ever looked for. They are read through, as signs are.
  await sql`create index search_words_trigrams on search_words using gin (words ${trigrams}) where kind = 'short'`.execute(
    db,
  );
  await sql`create index search_words_others on search_words (repository_id, kind) where kind <> 'short'`.execute(db);
  await compressWell(db);
  await sql`
    create function search_index_is_gone() returns trigger language plpgsql as $$
    begin
      delete from search_files where repository_id = old.repository_id;
      delete from search_words where repository_id = old.repository_id;
      return null;
    end $$
  `.execute(db);
  await sql`
    create trigger search_index_is_gone after delete on search_indexes
    for each row execute function search_index_is_gone()
  `.execute(db);
}

const OWN_SCHEMA = sql.id('forgeflow_trigrams');

/**
 * The operator class of pg_trgm. Whoever may create things in the database may create that extension; where there is one
 * already, it is used. Ours lies in a schema of its own, so that it is known whose it is.
 */
async function trigramOperators(db: AnyDatabase) {
  if ((await schemaOfTrigrams(db)) === undefined) {
    await sql`create schema ${OWN_SCHEMA}`.execute(db);
    await sql`create extension pg_trgm schema ${OWN_SCHEMA}`.execute(db);
  }
  return sql.id((await schemaOfTrigrams(db)) ?? '', 'gin_trgm_ops');
}

async function schemaOfTrigrams(db: AnyDatabase): Promise<string | undefined> {
  const { rows } = await sql<{ schema: string }>`
    select nspname as schema from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
    where extname = 'pg_trgm'
  `.execute(db);
  return rows[0]?.schema;
}

/** Where the server has lz4, which is several times faster than Postgres' own compression. */
async function compressWell(db: AnyDatabase): Promise<void> {
  await sql`
    do $$
    begin
      if exists (select from pg_settings where name = 'default_toast_compression' and 'lz4' = any(enumvals)) then
        alter table search_files alter column content set compression lz4;
      end if;
    end $$
  `.execute(db);
}

export async function down(db: AnyDatabase): Promise<void> {
  await sql`drop table search_words, search_files, search_indexes`.execute(db);
  await sql`drop function search_index_is_gone()`.execute(db);
  await sql`drop schema if exists ${OWN_SCHEMA} cascade`.execute(db);
}
