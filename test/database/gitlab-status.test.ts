import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { coverRepositories } from '../../src/database/gitlab-groups.ts';
import { countHooks, listGroupHooks, listHookReasons } from '../../src/database/gitlab-status.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { addGroup, addRepository, at, block, emptyHookTables, install } from './hook-rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(() => emptyHookTables(database.db));

test('nothing is nothing', async () => {
  const { db } = database;
  expect(await countHooks(db)).toEqual({
    installed: 0,
    covered: 0,
    pending: 0,
    disabled: 0,
    blocked: { not_found: 0, no_access: 0, invalid_credentials: 0, error: 0 },
    due: 0,
    nextDueAt: null,
  });
  expect([await listGroupHooks(db), await listHookReasons(db, 10)]).toEqual([[], []]);
});

test('G7: repositories are counted by state, those that GitLab disabled among the installed, and groups told apart', async () => {
  const { db } = database;
  const group = await addGroup(db, 'acme');
  await install(db, group.hookId, { alertStatus: 'temporarily_disabled', disabledUntil: at(30), dueAt: at(200) });
  for (let i = 0; i < 3; i++) await addRepository(db, { groupId: group.id });
  await coverRepositories(db, group.id, at(0));
  for (const alertStatus of ['executable', 'disabled', 'temporarily_disabled', null] as const) {
    await install(db, (await addRepository(db)).hookId, { alertStatus, dueAt: at(100) });
  }
  await addRepository(db, { minutes: 5 });
  const disabledOnce = await addRepository(db);
  await install(db, disabledOnce.hookId, { alertStatus: 'disabled' });
  await block(db, disabledOnce.hookId, { state: 'not_found', reason: 'it is gone' });
  for (let i = 0; i < 2; i++) await block(db, (await addRepository(db, { path: `b/${i}` })).hookId);
  expect(await countHooks(db, at(60))).toEqual({
    installed: 4,
    covered: 3,
    pending: 1,
    disabled: 2,
    blocked: { not_found: 1, no_access: 2, invalid_credentials: 0, error: 0 },
    due: 4,
    nextDueAt: at(5),
  });
  expect(await listHookReasons(db, 10)).toEqual([
    { state: 'no_access', reason: 'our account has access level 30', count: 2, example: 'b/0' },
    { state: 'not_found', reason: 'it is gone', count: 1, example: disabledOnce.path },
  ]);
  expect(await listHookReasons(db, 1)).toHaveLength(1);
  expect(await listGroupHooks(db)).toEqual([
    {
      path: 'acme',
      state: 'installed',
      reason: null,
      alertStatus: 'temporarily_disabled',
      disabledUntil: at(30),
      lastCheckedAt: at(0),
    },
  ]);
});
