import { randomBytes, randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  countDueHooks,
  findHookOfRepository,
  findHookToken,
  listDueHooks,
  readHook,
  withHookLock,
} from '../../src/database/gitlab-hooks.ts';
import { openDatabase } from '../../src/database/connection.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { eventually } from '../support/eventually.ts';
import { addGroup, addRepository, at, block, emptyHookTables, install } from './hook-rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(() => emptyHookTables(database.db));

const due = (minutes: number, runId = 'run', limit = 100) =>
  listDueHooks(database.db, { runId, at: at(minutes), limit });
const countDue = (minutes: number, runId = 'run') => countDueHooks(database.db, { runId, at: at(minutes) });
const checkedAt = async (minutes: number) => {
  const { hookId } = await addRepository(database.db);
  await install(database.db, hookId, { runId: `run at ${minutes}`, at: at(minutes), dueAt: at(minutes + 60) });
  return hookId;
};

describe('G2: what is due', () => {
  test('comes in the order in which it was left alone, never looked at first; and only when its time has come', async () => {
    const { db } = database;
    const [late, early, middle] = [await checkedAt(30), await checkedAt(10), await checkedAt(20)];
    const [fresh, second] = [await addRepository(db), await addRepository(db)];
    expect(await due(1_000)).toEqual([fresh.hookId, second.hookId, early, middle, late]);
    expect(await due(1_000, 'run', 3)).toEqual([fresh.hookId, second.hookId, early]);
    expect(await due(80)).toEqual([fresh.hookId, second.hookId, early, middle]);
    expect(await due(79)).toEqual([fresh.hookId, second.hookId, early]);
    expect([await countDue(1_000), await countDue(79), await countDue(-1)]).toEqual([5, 3, 0]);
  });

  test('G9: begins with groups, whose hooks cover others', async () => {
    const { db } = database;
    const early = await checkedAt(10);
    const { hookId: fresh } = await addRepository(db);
    const { hookId: group } = await addGroup(db);
    await install(db, group, { runId: 'before', at: at(50), dueAt: at(60) });
    expect(await due(1_000)).toEqual([group, fresh, early]);
  });

  test('has each row once in a run, whatever became of it, also when the run is slow', async () => {
    const { db } = database;
    for (let i = 0; i < 25; i++) await addRepository(db);
    const seen: string[] = [];
    for (let page = await due(0, 'run', 10); page.length > 0; page = await due(1_000, 'run', 10)) {
      for (const id of page) {
        const n = seen.push(id);
        if (n % 3 === 0) await install(db, id, { runId: 'run', dueAt: at(1) });
        else await block(db, id, { runId: 'run', state: n % 3 === 1 ? null : 'error', dueAt: at(0) });
      }
      expect(await countDue(1_000)).toBe(25 - seen.length);
    }
    expect(new Set(seen).size).toBe(25);
    expect(seen).toHaveLength(25);
    expect(await countDue(1_000, 'the next run')).toBe(25);
  });

  test('is not what has no owner: hooks made by hand', async () => {
    const { db } = database;
    const id = randomUUID();
    await db
      .insertInto('gitlab_hooks')
      .values({ id, token_hash: randomBytes(32) })
      .execute();
    expect(await listDueHooks(db, { runId: 'run', at: new Date(Date.now() + 60_000), limit: 10 })).toEqual([]);
    expect(await readHook(db, id)).toBeUndefined();
  });
});

test('a hook belongs to one owner, and is found by it', async () => {
  const { db } = database;
  const { id, hookId, gitlabId, path } = await addRepository(db);
  const group = await addGroup(db);
  const expected = {
    id: hookId,
    owner: { kind: 'project', id, gitlabId, path },
    state: 'pending',
    stored: { gitlabHookId: null, secretId: null, secretArrived: false, everInstalled: false },
    covered: false,
    secretSealed: null,
    failures: 0,
    lastRunId: null,
    dueAt: at(0),
  };
  expect(await readHook(db, hookId)).toEqual(expected);
  expect(await findHookOfRepository(db, id)).toEqual(expected);
  expect(await findHookOfRepository(db, -1)).toBeUndefined();
  expect(await readHook(db, randomUUID())).toBeUndefined();
  await expect(sql`update gitlab_hooks set group_id = ${group.id} where id = ${hookId}`.execute(db)).rejects.toThrow(
    'gitlab_hooks_have_one_owner_at_most',
  );
  await expect(sql`update gitlab_hooks set secret_id = ${randomUUID()}`.execute(db)).rejects.toThrow(
    'gitlab_hooks_know_the_secret_whole',
  );
});

test('G6: a token is known by its hash, the current and the one before, and no other', async () => {
  const { db } = database;
  const [current, previous] = [randomBytes(32), randomBytes(32)];
  await db.insertInto('gitlab_hooks').values({ token_hash: current, previous_token_hash: previous }).execute();
  expect((await findHookToken(db, current))?.hash).toEqual(current);
  expect((await findHookToken(db, previous))?.hash).toEqual(previous);
  expect(await findHookToken(db, randomBytes(32))).toBeUndefined();
});

describe('G6: the lock of a hook', () => {
  let other: TestDatabase['db'];
  beforeAll(() => {
    other = openDatabase(database.url);
  });
  afterAll(() => other.destroy());
  const done = () => Promise.resolve('done');

  test('lets one do its work, and tells others at once that it is busy', async () => {
    const { db } = database;
    const id = randomUUID();
    const inside = await withHookLock(db, id, async () => [
      await withHookLock(other, id, done),
      await withHookLock(db, id, done), // the same process, by another connection
      await withHookLock(other, randomUUID(), done),
    ]);
    expect(inside).toEqual(['busy', 'busy', 'done']);
    expect(await withHookLock(other, id, done)).toBe('done');
  });

  test('is free again when the work failed', async () => {
    const { db } = database;
    const id = randomUUID();
    await expect(withHookLock(db, id, () => Promise.reject(new Error('GitLab is away')))).rejects.toThrow(
      'GitLab is away',
    );
    expect(await withHookLock(other, id, done)).toBe('done');
  });

  test('is free again when its connection dies, and what the work came to stands', async () => {
    const { db } = database;
    const id = randomUUID();
    const result = await withHookLock(other, id, async () => {
      await sql`
        select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted
          and database = (select oid from pg_database where datname = current_database())
      `.execute(db);
      await eventually(async () => {
        expect(await withHookLock(db, id, done)).toBe('done');
      });
      return 'the work of the first';
    });
    expect(result).toBe('the work of the first');
    expect(await withHookLock(other, id, done)).toBe('done'); // the pool has good connections only
  });

  test('of many at once on the same hook, never do two work', async () => {
    const { db } = database;
    const id = randomUUID();
    let working = 0;
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        withHookLock(i % 2 ? db : other, id, async () => {
          expect(++working).toBe(1);
          await sql`select pg_sleep(0.005)`.execute(db);
          working--;
        }),
      ),
    );
    expect(results.filter((result) => result === 'busy').length).toBeGreaterThan(0);
    expect(results.filter((result) => result !== 'busy').length).toBeGreaterThan(0);
    const { rows } = await sql`
      select from pg_locks join pg_database on pg_database.oid = database
      where locktype = 'advisory' and datname = current_database()
    `.execute(db);
    expect(rows).toEqual([]);
  });
});
