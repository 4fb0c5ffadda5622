import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { coverRepositories, uncoverRepositories, upsertGroup } from '../../src/database/gitlab-groups.ts';
import { findHookOfGroup, listDueHooks, readHook } from '../../src/database/gitlab-hooks.ts';
import { recordCovered, recordNotInstalled, storeHookSecret } from '../../src/database/gitlab-hook-records.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { addGroup, addRepository, at, block, emptyHookTables, hookRow, install, newSecret } from './hook-rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(() => emptyHookTables(database.db));

const due = (minutes: number) => listDueHooks(database.db, { runId: 'the next run', at: at(minutes), limit: 100 });
const inGroup = (groupId: number) => addRepository(database.db, { groupId });

test('G9: a group is kept once, with one hook, under its last path', async () => {
  const { db } = database;
  const [one, again] = await Promise.all([
    upsertGroup(db, { gitlabId: 5, path: 'acme' }),
    upsertGroup(db, { gitlabId: 5, path: 'acme' }),
  ]);
  expect(again).toEqual(one);
  expect(await upsertGroup(db, { gitlabId: 5, path: 'acme-corp' })).toEqual(one);
  const hook = await findHookOfGroup(db, one.id);
  expect(hook).toMatchObject({ owner: { kind: 'group', id: one.id, gitlabId: 5, path: 'acme-corp' }, covered: false });
  expect(await due(0)).toEqual([]); // groups are due from now on, by the database's clock
  expect(await listDueHooks(db, { runId: 'r', at: new Date(Date.now() + 60_000), limit: 10 })).toEqual([hook!.id]);
});

describe('G9: coverage', () => {
  test('G9: begins only once the hook of the group is in place', async () => {
    const { db } = database;
    const group = await addGroup(db);
    const { hookId } = await inGroup(group.id);
    expect(await coverRepositories(db, group.id, at(1))).toBe(0);
    await storeHookSecret(db, group.hookId, newSecret()); // under way
    expect(await coverRepositories(db, group.id, at(1))).toBe(0);
    expect((await readHook(db, hookId))!.covered).toBe(false);
  });

  test('G9: repositories without a hook need none; those with one are due, so that it is removed', async () => {
    const { db } = database;
    const group = await addGroup(db);
    const [fresh, blocked, failed, gone, installed, inDoubt, waiting] = [
      await inGroup(group.id),
      await inGroup(group.id),
      await inGroup(group.id),
      await inGroup(group.id),
      await inGroup(group.id),
      await inGroup(group.id),
      await inGroup(group.id),
    ];
    const elsewhere = await addRepository(db);
    await block(db, blocked.hookId);
    await block(db, failed.hookId, { state: 'error', reason: 'x' });
    await block(db, gone.hookId, { state: 'not_found', reason: 'it is not there', dueAt: at(90) });
    await install(db, installed.hookId);
    await storeHookSecret(db, inDoubt.hookId, newSecret());
    await install(db, waiting.hookId);
    await block(db, waiting.hookId, { dueAt: at(90) }); // its hook cannot be removed: not asked at every run
    await install(db, group.hookId);

    expect(await coverRepositories(db, group.id, at(1))).toBe(3);
    for (const { hookId } of [fresh, blocked, failed]) {
      expect(await hookRow(db, hookId)).toMatchObject({ state: 'covered', reason: null, failures: 0 });
    }
    expect(await hookRow(db, gone.hookId)).toMatchObject({ state: 'not_found', due_at: at(90) });
    expect(await hookRow(db, installed.hookId)).toMatchObject({ state: 'installed', due_at: at(1) });
    expect(await hookRow(db, waiting.hookId)).toMatchObject({ state: 'no_access', due_at: at(90) });
    expect((await hookRow(db, inDoubt.hookId)).state).toBe('pending');
    expect(await due(1)).toEqual(expect.arrayContaining([installed.hookId]));
    expect((await readHook(db, installed.hookId))!.covered).toBe(true);
    expect((await readHook(db, elsewhere.hookId))!.covered).toBe(false);
    expect(await coverRepositories(db, group.id, at(2))).toBe(0);

    await recordCovered(db, installed.hookId, { runId: 'r', at: at(2) });
    expect(await hookRow(db, installed.hookId)).toMatchObject({ state: 'covered', gitlab_hook_id: null });
    expect(await due(10_000)).not.toContain(installed.hookId);
  });

  test('G9: ends when the hook of the group is gone: what it covered is due', async () => {
    const { db } = database;
    const group = await addGroup(db);
    const [one, two] = [await inGroup(group.id), await inGroup(group.id)];
    await install(db, group.hookId);
    expect(await coverRepositories(db, group.id, at(1))).toBe(2);
    expect(await uncoverRepositories(db, group.id, at(2))).toBe(0); // it is there still
    await storeHookSecret(db, group.hookId, newSecret()); // it was gone, and is being made again
    expect(await uncoverRepositories(db, group.id, at(3))).toBe(2);
    for (const { hookId } of [one, two]) {
      expect(await hookRow(db, hookId)).toMatchObject({ state: 'pending', due_at: at(3) });
      expect((await readHook(db, hookId))!.covered).toBe(false);
    }
    expect(await uncoverRepositories(db, group.id, at(4))).toBe(0);
  });

  test.each([
    ['no_access', true],
    ['error', true],
    ['invalid_credentials', true],
    [null, true],
    ['not_found', false],
  ] as const)('G9: with the hook of the group in state %s after a failure, it goes on: %s', async (state, goesOn) => {
    const { db } = database;
    const group = await addGroup(db);
    const { hookId } = await inGroup(group.id);
    await install(db, group.hookId);
    await coverRepositories(db, group.id, at(1));
    const failed = { runId: 'r', outcome: 'blocked', reason: 'x', at: at(2), dueAt: at(3) } as const;
    await recordNotInstalled(db, group.hookId, { ...failed, state });
    expect(await uncoverRepositories(db, group.id, at(2))).toBe(goesOn ? 0 : 1);
    expect((await readHook(db, hookId))!.covered).toBe(goesOn);
  });
});

describe('G9: coverage that changes while a repository is being worked on', () => {
  test('a hook installed meanwhile is due at once, and not doubled for longer', async () => {
    const { db } = database;
    const group = await addGroup(db);
    const { hookId } = await inGroup(group.id);
    await install(db, group.hookId);
    expect(await coverRepositories(db, group.id, at(1))).toBe(1);
    await storeHookSecret(db, hookId, newSecret()); // by one who saw it before it was covered, and may die now
    expect(await hookRow(db, hookId)).toMatchObject({ state: 'pending' });
    expect(await due(1)).toContain(hookId);
    expect(await coverRepositories(db, group.id, at(1))).toBe(0); // since GitLab may have a hook of it
    await install(db, (await inGroup(group.id)).hookId, { at: at(5), dueAt: at(1_000) });
    const rows = await db
      .selectFrom('gitlab_hooks')
      .select(['state', 'due_at'])
      .where('state', '=', 'installed')
      .execute();
    expect(rows).toContainEqual({ state: 'installed', due_at: at(5) });
  });

  test('a hook removed although the group has lost its own is due at once, and not missed for longer', async () => {
    const { db } = database;
    const group = await addGroup(db);
    const { hookId } = await inGroup(group.id);
    await install(db, hookId);
    await install(db, group.hookId);
    await coverRepositories(db, group.id, at(1));
    await storeHookSecret(db, group.hookId, newSecret());
    await uncoverRepositories(db, group.id, at(2));
    await recordCovered(db, hookId, { runId: 'r', at: at(3) });
    expect(await hookRow(db, hookId)).toMatchObject({ state: 'pending', due_at: at(3), last_outcome: 'covered' });
    expect(await due(3)).toContain(hookId);
  });

  test('of a repository that gets a secret at the same moment, the secret is not lost', async () => {
    const { db } = database;
    const group = await addGroup(db);
    await install(db, group.hookId);
    const { hookId } = await inGroup(group.id);
    const storing = await db.startTransaction().execute();
    await storeHookSecret(storing, hookId, newSecret());
    const covering = coverRepositories(db, group.id, at(1)); // sees it as it was before, and waits
    await new Promise((resolve) => setTimeout(resolve, 100));
    await storing.commit().execute();
    expect(await covering).toBe(0);
    expect(await hookRow(db, hookId)).toMatchObject({ state: 'pending', secret_arrived: false });
  });
});
