import { Kysely, type LogEvent, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { coverRepositories, uncoverRepositories } from '../../src/database/gitlab-groups.ts';
import { countDueHooks, findHookToken, listDueHooks, readHook } from '../../src/database/gitlab-hooks.ts';
import { countOutcomes } from '../../src/database/gitlab-runs.ts';
import { countHooks } from '../../src/database/gitlab-status.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import type { Tables } from '../../src/database/tables.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { addGroup, at, install as installHook } from './hook-rows.ts';

const REPOSITORIES = 100_000;

let database: TestDatabase;
let pool: pg.Pool;
/** The same database, whose queries are kept. */
let db: ForgeflowDatabase;
const queries: LogEvent['query'][] = [];

beforeAll(async () => {
  database = await cloneDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
  const log = ({ query }: LogEvent) => {
    queries.push(query);
  };
  db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), log });
  await fill();
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

/** All of them are due, and none was ever seen to. */
async function fill(): Promise<void> {
  await sql`
    insert into repositories (gitlab_id, path, last_seen_at)
    select n, 'group/project-' || n, ${at(0)} from generate_series(1, ${REPOSITORIES}::int) n
  `.execute(db);
  await sql`insert into gitlab_hooks (repository_id, due_at) select id, ${at(0)} from repositories`.execute(db);
  await sql`vacuum analyze gitlab_hooks, repositories`.execute(db);
}

/** As a run leaves them that sees to those up to that number. */
async function install(upTo: number): Promise<void> {
  await sql`
    update gitlab_hooks set state = 'installed', gitlab_hook_id = gitlab_id, token_hash = sha256(int8send(gitlab_id)),
      last_checked_at = ${at(1)}::timestamptz + gitlab_id * interval '1 ms', due_at = ${at(24 * 60)},
      last_run_id = 'run', last_outcome = 'installed'
    from repositories where repositories.id = repository_id and gitlab_id <= ${upTo} and last_run_id is null
  `.execute(db);
  await sql`vacuum analyze gitlab_hooks`.execute(db);
}

/** What Postgres does for the last query of a call, and how long that took, in ms. */
async function planOf(call: () => Promise<unknown>): Promise<{ ms: number; plan: string }> {
  queries.length = 0;
  await call();
  const { sql: text, parameters } = queries.at(-1)!;
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(`explain analyze ${text}`, [...parameters]);
  const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
  return { ms: Number(/Execution Time: ([\d.]+)/.exec(plan)?.[1]), plan };
}

const question = { runId: 'run', at: at(10) };
const page = () => listDueHooks(db, { ...question, limit: 100 });

describe('G10: of 100,000 repositories', () => {
  async function expectQuickPage(length: number): Promise<void> {
    expect(await page()).toHaveLength(length);
    const found = await planOf(page);
    expect(found.plan).not.toContain('Seq Scan');
    expect(found.ms, found.plan).toBeLessThan(200);
    const counted = await planOf(() => countDueHooks(db, question));
    expect(counted.ms, counted.plan).toBeLessThan(500);
  }

  test('a page is found without reading the whole table, however far the run has come', async () => {
    await expectQuickPage(100);
    await install(REPOSITORIES / 2);
    await expectQuickPage(100);
    // Those seen to have waited longest now, and are not due: the worst that a page has to get past.
    await sql`update gitlab_hooks set last_checked_at = ${at(-1_000)} where last_run_id is not null`.execute(db);
    await sql`update gitlab_hooks set last_checked_at = ${at(-10)} where last_run_id is null`.execute(db);
    await sql`vacuum analyze gitlab_hooks`.execute(db);
    await expectQuickPage(100);
    await install(REPOSITORIES);
    await expectQuickPage(0);
  });

  test('a page of the listing, a token, a path and a row are found by index', async () => {
    const group = await addGroup(db, 'group');
    const seen = Array.from({ length: 100 }, (_, i) => ({ gitlabId: 50_000 + i, path: `group/project-${50_000 + i}` }));
    const { id, token_hash } = await db
      .selectFrom('gitlab_hooks')
      .select(['id', 'token_hash'])
      .where('repository_id', 'is not', null)
      .limit(1)
      .executeTakeFirstOrThrow();
    for (const call of [
      () => upsertRepositories(db, seen, { groupId: group.id, at: at(1) }),
      () => upsertRepositories(db, seen, { groupId: null, at: at(2) }),
      () => findHookToken(db, token_hash!),
      () => findRepositoryByPath(db, 'group/project-77'),
      () => readHook(db, id),
    ]) {
      const { ms, plan } = await planOf(call);
      expect(plan).not.toMatch(/Seq Scan on (gitlab_hooks|repositories)/);
      expect(ms, plan).toBeLessThan(200);
    }
  });

  test('all are counted by their last run and by state; the 20,000 of a group are covered and uncovered at once', async () => {
    expect((await countOutcomes(db, 'run')).installed).toBe(REPOSITORIES);
    expect((await countHooks(db, at(10))).installed).toBe(REPOSITORIES);
    const group = await addGroup(db, 'covering');
    await installHook(db, group.hookId);
    await sql`update repositories set group_id = ${group.id} where gitlab_id <= 20000`.execute(db);
    await sql`
      update gitlab_hooks set gitlab_hook_id = null from repositories where repository_id = repositories.id and gitlab_id <= 20000
    `.execute(db);
    expect(await coverRepositories(db, group.id, at(20))).toBe(20_000);
    expect(await coverRepositories(db, group.id, at(21))).toBe(0);
    await sql`update gitlab_hooks set state = 'not_found' where group_id = ${group.id}`.execute(db);
    expect(await uncoverRepositories(db, group.id, at(22))).toBe(20_000);
  });
});
