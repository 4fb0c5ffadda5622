import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beginRun, countOutcomes, finishRun, lastRun, readProgress } from '../../src/database/gitlab-runs.ts';
import { HOOK_OUTCOMES } from '../../src/domain/hook-state.ts';
import type { OutcomeCounts } from '../../src/domain/install-run.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { addRepository, at, block, emptyHookTables, install } from './hook-rows.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(() => emptyHookTables(database.db));

const begin = (id: string, minutes: number, repository: string | null = null) =>
  beginRun(database.db, { id, workflowId: 'installGitLabWebhooks', at: at(minutes), repository });
const counts = (some: Partial<OutcomeCounts> = {}): OutcomeCounts => ({
  ...{ installed: 0, verified: 0, adopted: 0, repaired: 0, covered: 0, blocked: 0, failed: 0 },
  ...some,
});
const end = { at: at(9), endedEarly: null, retryAt: null, error: null, counts: counts(), remaining: 0 };

describe('G4: a run', () => {
  test('is counted from the rows that it saw to, each once', async () => {
    const { db } = database;
    for (const outcome of [...HOOK_OUTCOMES, 'verified', 'blocked', 'blocked'] as const) {
      const { hookId } = await addRepository(db);
      if (outcome === 'blocked' || outcome === 'failed') await block(db, hookId, { runId: 'one', outcome });
      else await install(db, hookId, { runId: 'one', outcome });
    }
    await install(db, (await addRepository(db)).hookId, { runId: 'another' });
    expect(await countOutcomes(db, 'one')).toEqual(
      counts({ installed: 1, verified: 2, adopted: 1, repaired: 1, covered: 1, blocked: 3, failed: 1 }),
    );
    expect(await countOutcomes(db, 'none')).toEqual(counts());
  });

  test('is told with its counts so far while it is under way, and as it ended afterwards', async () => {
    const { db } = database;
    expect(await lastRun(db)).toBeUndefined();
    expect(await readProgress(db, 'one')).toBeUndefined();
    const [done] = [await addRepository(db), await addRepository(db), await addRepository(db)];
    await begin('one', 1);
    expect(await readProgress(db, 'one')).toEqual({ done: 0, remaining: 3 });
    await install(db, done.hookId, { runId: 'one' });
    expect(await readProgress(db, 'one')).toEqual({ done: 1, remaining: 2 });
    expect(await lastRun(db)).toEqual({
      runId: 'one',
      startedAt: at(1),
      finishedAt: null,
      endedEarly: null,
      retryAt: null,
      error: null,
      ...counts({ installed: 1 }),
      remaining: 2,
    });
    const ended = { endedEarly: 'rate_limited', retryAt: at(60), remaining: 2 } as const;
    await finishRun(db, 'one', { ...end, ...ended, counts: counts({ installed: 1 }) });
    await install(db, done.hookId, { runId: 'the next' }); // its rows are another one's now
    expect(await lastRun(db)).toMatchObject({ finishedAt: at(9), ...counts({ installed: 1 }), ...ended });
    expect(await readProgress(db, 'one')).toEqual({ done: 1, remaining: 2 });
  });

  test('begins and ends once, however often that is said', async () => {
    const { db } = database;
    await begin('one', 1);
    await finishRun(db, 'one', { ...end, error: `x\0${'y'.repeat(600)}` });
    await begin('one', 5);
    await finishRun(db, 'one', { ...end, at: at(99), endedEarly: 'invalid_credentials' });
    const run = await lastRun(db);
    expect(run).toMatchObject({ startedAt: at(1), finishedAt: at(9), endedEarly: null });
    expect(run!.error).toBe(`x${'y'.repeat(511)}`);
  });

  test('for one repository alone is not the last one, and has one to do', async () => {
    const { db } = database;
    await begin('all', 1);
    const { hookId, path } = await addRepository(db);
    await addRepository(db);
    await begin('single', 2, path);
    expect((await lastRun(db))!.runId).toBe('all');
    expect(await readProgress(db, 'single')).toEqual({ done: 0, remaining: 1 });
    await install(db, hookId, { runId: 'single' });
    expect(await readProgress(db, 'single')).toEqual({ done: 1, remaining: 0 });
  });

  test('is forgotten after 90 days', async () => {
    const { db } = database;
    const DAY = 24 * 60;
    await begin('old', 0);
    await begin('younger', 1);
    await begin('now', 90 * DAY + 1);
    const rows = await db.selectFrom('gitlab_runs').select('id').orderBy('started_at').execute();
    expect(rows).toEqual([{ id: 'younger' }, { id: 'now' }]);
  });
});
