import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findHookToken, listDueHooks, readHook } from '../../src/database/gitlab-hooks.ts';
import { recordCovered, recordInstalled, storeHookSecret } from '../../src/database/gitlab-hook-records.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { addRepository, at, block, emptyHookTables, hookRow, install, newSecret } from './hook-rows.ts';

let database: TestDatabase;
let hookId: string;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await emptyHookTables(database.db);
  ({ hookId } = await addRepository(database.db));
});

const row = () => hookRow(database.db, hookId);
const opens = async ({ tokenHash }: { tokenHash: Buffer }) =>
  (await findHookToken(database.db, tokenHash))?.hash.equals(tokenHash) ?? false;
const installed = (secretId: string) => ({
  runId: 'run',
  outcome: 'installed' as const,
  secretId,
  gitlabHookId: 2 ** 40,
  alertStatus: 'executable' as const,
  disabledUntil: null,
  at: at(1),
  dueAt: at(100),
});

describe('G6: a secret', () => {
  test('is kept before anything carries it, and opens the ingress from then on', async () => {
    const { db } = database;
    const secret = newSecret();
    await storeHookSecret(db, hookId, secret);
    const { secretId, sealed } = secret;
    expect(await readHook(db, hookId)).toMatchObject({
      state: 'pending',
      secretSealed: sealed,
      stored: { gitlabHookId: null, secretId, secretArrived: false, everInstalled: false },
    });
    expect(await opens(secret)).toBe(true);
  });

  test('in doubt is never replaced; once it has arrived, the one before goes on opening', async () => {
    const { db } = database;
    const [first, second, third] = [newSecret(), newSecret(), newSecret()];
    await storeHookSecret(db, hookId, first);
    await expect(storeHookSecret(db, hookId, second)).rejects.toThrow('another secret for it was stored meanwhile');
    expect((await row()).secret_id).toBe(first.secretId);
    await recordInstalled(db, hookId, installed(first.secretId));
    await storeHookSecret(db, hookId, second);
    expect([await opens(first), await opens(second)]).toEqual([true, true]);
    expect(await row()).toMatchObject({ secret_id: second.secretId, secret_arrived: false, state: 'installed' });
    await recordInstalled(db, hookId, installed(second.secretId));
    await storeHookSecret(db, hookId, third);
    expect([await opens(first), await opens(second), await opens(third)]).toEqual([false, true, true]);
    await expect(storeHookSecret(db, randomUUID(), newSecret())).rejects.toThrow('is gone');
  });

  test('of many stored at once, one is', async () => {
    const { db } = database;
    const secrets = Array.from({ length: 10 }, newSecret);
    const results = await Promise.allSettled(secrets.map((secret) => storeHookSecret(db, hookId, secret)));
    const stored = secrets.filter((_, i) => results[i]!.status === 'fulfilled');
    expect(stored).toHaveLength(1);
    expect(await row()).toMatchObject({ secret_id: stored[0]!.secretId, previous_token_hash: null });
  });

  test('makes its hook due until it has arrived, whenever that was to be looked at', async () => {
    const { db } = database;
    await install(db, hookId, { dueAt: new Date(Date.now() + 60_000) });
    const due = () => listDueHooks(db, { runId: 'next', at: new Date(Date.now() + 1_000), limit: 1 });
    expect(await due()).toEqual([]);
    await storeHookSecret(db, hookId, newSecret());
    expect(await due()).toEqual([hookId]);
  });

  test('is not kept when the transaction is rolled back', async () => {
    const { db } = database;
    const before = await row();
    const transaction = await db.startTransaction().execute();
    await storeHookSecret(transaction, hookId, newSecret());
    await transaction.rollback().execute();
    expect(await row()).toEqual(before);
  });
});

describe('G5: a hook that is in place', () => {
  test('is recorded with all that is known of it', async () => {
    const { db } = database;
    await block(db, hookId);
    const secret = newSecret();
    await storeHookSecret(db, hookId, secret);
    const disabled = { alertStatus: 'temporarily_disabled' as const, disabledUntil: at(30) };
    expect(await recordInstalled(db, hookId, { ...installed(secret.secretId), ...disabled })).toBe(true);
    expect(await row()).toMatchObject({
      state: 'installed',
      reason: null,
      gitlab_hook_id: String(2 ** 40),
      secret_arrived: true,
      alert_status: 'temporarily_disabled',
      disabled_until: at(30),
      installed_at: at(1),
      last_checked_at: at(1),
      due_at: at(100),
      failures: 0,
      last_run_id: 'run',
      last_outcome: 'installed',
    });
    const stored = { gitlabHookId: 2 ** 40, secretId: secret.secretId, secretArrived: true, everInstalled: true };
    expect(await readHook(db, hookId)).toMatchObject({ stored, lastRunId: 'run' });
    await recordInstalled(db, hookId, { ...installed(secret.secretId), at: at(9), outcome: 'verified' });
    expect(await row()).toMatchObject({ installed_at: at(1), last_checked_at: at(9), last_outcome: 'verified' });
  });

  test('G6: is not recorded by one who sent another secret than the stored one, having lost the lock', async () => {
    const { db } = database;
    const [lost, stored] = [newSecret(), newSecret()];
    await storeHookSecret(db, hookId, stored);
    const before = await row();
    expect(await recordInstalled(db, hookId, installed(lost.secretId))).toBe(false);
    expect(await row()).toEqual(before);
  });
});

describe('G7: a hook that is not in place', () => {
  test('has a state, a reason and a time, and loses nothing', async () => {
    const { db } = database;
    const secret = await install(db, hookId);
    await block(db, hookId, { at: at(5), dueAt: at(65), runId: 'run 2' });
    await block(db, hookId, { state: 'error', outcome: 'failed', reason: 'x', at: at(65), dueAt: at(185) });
    expect(await row()).toMatchObject({
      state: 'error',
      reason: 'x',
      last_checked_at: at(65),
      due_at: at(185),
      failures: 2,
      last_outcome: 'failed',
      secret_id: secret.secretId,
      installed_at: at(0),
    });
    expect((await row()).gitlab_hook_id).not.toBeNull();
    expect(await opens(secret)).toBe(true);
  });

  test.each(['pending', 'installed'])('stays %s when GitLab did not answer', async (state) => {
    const { db } = database;
    if (state === 'installed') await install(db, hookId);
    await block(db, hookId, { state: null, outcome: 'failed', reason: 'HTTP 502', at: at(7), dueAt: at(7) });
    expect(await row()).toMatchObject({ state, reason: 'HTTP 502', due_at: at(7), failures: 1 });
  });

  test.each([
    ['é'.repeat(600), 'é'.repeat(512)],
    [`${'x'.repeat(511)}🎉`, /^x{511}/],
    ['a\0b', 'ab'],
  ])('has a reason that Postgres takes, of 512 characters at most: %#', async (reason, kept) => {
    await block(database.db, hookId, { reason });
    expect((await row()).reason).toMatch(kept);
    expect((await row()).reason!.length).toBeLessThanOrEqual(512);
  });
});

test('G9: a covered repository has no secret any more, but what is on its way with the last one is let in', async () => {
  const { db } = database;
  const secret = await install(db, hookId);
  for (const minutes of [1, 2]) {
    await recordCovered(db, hookId, { runId: 'run', at: at(minutes) });
    expect(await row()).toMatchObject({
      gitlab_hook_id: null,
      secret_id: null,
      secret_sealed: null,
      secret_arrived: false,
      token_hash: null,
      alert_status: null,
      last_checked_at: at(minutes),
      last_outcome: 'covered',
    });
    expect(await opens(secret)).toBe(true);
  }
  const next = newSecret();
  await storeHookSecret(db, hookId, next);
  expect([await opens(secret), await opens(next)]).toEqual([true, true]);
});
