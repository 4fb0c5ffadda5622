import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readHook } from '../../src/database/gitlab-hooks.ts';
import {
  findRepository,
  findRepositoryByPath,
  releaseUnseen,
  type SeenRepository,
  upsertRepositories,
} from '../../src/database/repositories.ts';
import { coverRepositories } from '../../src/database/gitlab-groups.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { addGroup, addRepository, at, block, emptyHookTables, hookRow, install } from './hook-rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(() => emptyHookTables(database.db));

const many = (n: number, path = (i: number) => `group/project-${i}`): SeenRepository[] =>
  Array.from({ length: n }, (_, i) => ({ gitlabId: i + 1, path: path(i + 1) }));
const listed = (minutes = 0, groupId: number | null = null) => ({ groupId, at: at(minutes) });
const repositories = () => database.db.selectFrom('repositories').selectAll().orderBy('gitlab_id').execute();
const hooks = () => database.db.selectFrom('gitlab_hooks').selectAll().execute();

describe('G1: what GitLab lists', () => {
  test('is kept, each with a hook that is due', async () => {
    const { db } = database;
    expect(await upsertRepositories(db, many(3), listed(5))).toEqual({ known: 3, added: 3 });
    expect(await repositories()).toMatchObject([
      { gitlab_id: '1', path: 'group/project-1', group_id: null, last_seen_at: at(5) },
      { gitlab_id: '2' },
      { gitlab_id: '3' },
    ]);
    const rows = await hooks();
    expect(rows).toHaveLength(3);
    for (const row of rows) {
      expect(row).toMatchObject({
        state: 'pending',
        due_at: at(5),
        last_checked_at: null,
        failures: 0,
        group_id: null,
      });
    }
  });

  test('again, changes only when it was seen, and uses up no ids', async () => {
    const { db } = database;
    await upsertRepositories(db, many(2), listed(5));
    const before = await hooks();
    for (const minutes of [6, 7, 3]) {
      expect(await upsertRepositories(db, many(2), listed(minutes))).toEqual({ known: 2, added: 0 });
    }
    expect(await hooks()).toEqual(before);
    expect(await repositories()).toMatchObject([{ last_seen_at: at(7) }, { last_seen_at: at(7) }]);
    // A 32-bit identity would be used up within months, did every listing of 100,000 take so many numbers.
    const { id: last } = (await repositories())[1]!;
    await upsertRepositories(db, [{ gitlabId: 3, path: 'group/new' }], listed(8));
    expect((await repositories())[2]!.id).toBe(last + 1);
  });

  test('may be nothing, and may name one twice, as pages do that shift: the last word counts', async () => {
    const { db } = database;
    expect(await upsertRepositories(db, [], listed())).toEqual({ known: 0, added: 0 });
    const twice = [...many(1), { gitlabId: 1, path: 'moved/meanwhile' }];
    expect(await upsertRepositories(db, twice, listed())).toEqual({ known: 1, added: 1 });
    expect(await repositories()).toMatchObject([{ path: 'moved/meanwhile' }]);
  });

  test('may have ids beyond 32 bits', async () => {
    const { db } = database;
    const gitlabId = 2 ** 52 + 1;
    await upsertRepositories(db, [{ gitlabId, path: 'g/p' }], listed());
    const found = await findRepositoryByPath(db, 'g/p');
    expect(found).toEqual({
      id: expect.any(Number) as number,
      gitlabId,
      path: 'g/p',
      groupId: null,
      lastSeenAt: at(0),
    });
    expect(await findRepository(db, found!.id)).toEqual(found);
    expect(await findRepository(db, -1)).toBeUndefined();
  });

  test('is kept once, however many list it at the same time, in whatever order', async () => {
    const { db } = database;
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, i) => upsertRepositories(db, i % 2 ? many(300) : many(300).reverse(), listed(i))),
    );
    expect(results.map(({ known }) => known)).toEqual(Array.from({ length: 8 }, () => 300));
    expect(results.reduce((sum, { added }) => sum + added, 0)).toBe(300);
    expect(await repositories()).toHaveLength(300);
    expect(await hooks()).toHaveLength(300);
  });

  test('is not kept when the transaction is rolled back', async () => {
    const { db } = database;
    const transaction = await db.startTransaction().execute();
    await upsertRepositories(transaction, many(2), listed());
    await transaction.rollback().execute();
    expect([await repositories(), await hooks()]).toEqual([[], []]);
  });

  test('10,000 of it are one statement, and take a moment', async () => {
    const { db } = database;
    expect(await upsertRepositories(db, many(10_000), listed(1))).toEqual({ known: 10_000, added: 10_000 });
    expect(await upsertRepositories(db, many(10_000), listed(2))).toEqual({ known: 10_000, added: 0 });
    expect((await hooks()).length).toBe(10_000);
  }, 20_000);
});

describe('G1: one that moved', () => {
  test('has its new path, and the same hook', async () => {
    const { db } = database;
    const { id, gitlabId, hookId } = await addRepository(db, { path: 'old/place' });
    await upsertRepositories(db, [{ gitlabId, path: 'new/place' }], listed(1));
    expect(await findRepositoryByPath(db, 'new/place')).toMatchObject({ id, gitlabId });
    expect(await findRepositoryByPath(db, 'old/place')).toBeUndefined();
    expect((await readHook(db, hookId))!.owner).toEqual({ kind: 'project', id, gitlabId, path: 'new/place' });
  });

  test('gives its path to another one, which may be seen there first: the last one seen is meant', async () => {
    const { db } = database;
    const moved = await addRepository(db, { path: 'a/place', minutes: 1 });
    const heir = await addRepository(db, { path: 'a/Place', minutes: 2 });
    expect(await findRepositoryByPath(db, 'A/PLACE')).toMatchObject({ id: heir.id });
    await upsertRepositories(db, [{ gitlabId: moved.gitlabId, path: 'a/place' }], listed(3));
    expect(await findRepositoryByPath(db, 'a/place')).toMatchObject({ id: moved.id });
    expect(await findRepositoryByPath(db, 'a/pla_e')).toBeUndefined();
  });
});

describe('G9: the group of a repository', () => {
  test('is the one that it is listed in; listed elsewhere, it stays that one while its path says so', async () => {
    const { db } = database;
    const [group, other] = [await addGroup(db, 'acme'), await addGroup(db, 'other')];
    const { id, gitlabId } = await addRepository(db, { path: 'acme/sub/app' });
    const see = async (path: string, groupId: number | null) => {
      await upsertRepositories(db, [{ gitlabId, path }], listed(1, groupId));
      return (await findRepository(db, id))!.groupId;
    };
    expect(await see('acme/sub/app', group.id)).toBe(group.id);
    expect(await see('acme/app', null)).toBe(group.id);
    expect(await see('acme-2/app', null)).toBeNull();
    expect(await see('other/app', other.id)).toBe(other.id);
    expect(await see('acme/app', group.id)).toBe(group.id);
  });

  test('was left by one that its hook covered: it is due, since nobody sends its events now', async () => {
    const { db } = database;
    const [group, other] = [await addGroup(db, 'acme'), await addGroup(db, 'other')];
    await install(db, group.hookId);
    const stays = await addRepository(db, { path: 'acme/stays', groupId: group.id });
    const leaves = await addRepository(db, { path: 'acme/leaves', groupId: group.id });
    const changes = await addRepository(db, { path: 'acme/changes', groupId: group.id });
    expect(await coverRepositories(db, group.id, at(1))).toBe(3);
    await upsertRepositories(db, [{ gitlabId: stays.gitlabId, path: 'acme/still' }], listed(2));
    await upsertRepositories(db, [{ gitlabId: leaves.gitlabId, path: 'else/where' }], listed(2));
    await upsertRepositories(db, [{ gitlabId: changes.gitlabId, path: 'other/app' }], listed(2, other.id));
    expect(await hookRow(db, stays.hookId)).toMatchObject({ state: 'covered' });
    expect(await hookRow(db, leaves.hookId)).toMatchObject({ state: 'pending', due_at: at(2) });
    expect(await hookRow(db, changes.hookId)).toMatchObject({ state: 'pending', due_at: at(2) });
  });
});

describe('G9: what the listing of a group no longer shows', () => {
  test('leaves it: covered, it is due, and so is one whose hook may be gone with it', async () => {
    const { db } = database;
    const group = await addGroup(db, 'acme');
    await install(db, group.hookId);
    const [seen, covered, installed, blocked] = [
      await addRepository(db, { groupId: group.id }),
      await addRepository(db, { groupId: group.id }),
      await addRepository(db, { groupId: group.id }),
      await addRepository(db, { groupId: group.id }),
    ];
    const elsewhere = await addRepository(db);
    await coverRepositories(db, group.id, at(1));
    await install(db, installed.hookId, { dueAt: at(1_000) });
    await sql`update gitlab_hooks set due_at = ${at(1_000)} where id = ${installed.hookId}`.execute(db);
    await block(db, blocked.hookId, { dueAt: at(60) });
    await upsertRepositories(db, [{ gitlabId: seen.gitlabId, path: seen.path }], listed(10, group.id));
    expect(await releaseUnseen(db, group.id, at(10))).toBe(3);
    expect((await findRepository(db, covered.id))!.groupId).toBeNull();
    expect(await hookRow(db, covered.hookId)).toMatchObject({ state: 'pending', due_at: at(0) });
    expect(await hookRow(db, installed.hookId)).toMatchObject({ state: 'installed', due_at: at(10) });
    expect(await hookRow(db, blocked.hookId)).toMatchObject({ state: 'no_access', due_at: at(60) });
    expect(await hookRow(db, seen.hookId)).toMatchObject({ state: 'covered' });
    expect(await hookRow(db, elsewhere.hookId)).toMatchObject({ due_at: at(0) });
    expect(await releaseUnseen(db, group.id, at(10))).toBe(0);
  });
});
