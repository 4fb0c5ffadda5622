import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { beginCheck, type CheckResult, endCheck, isWanted, putCheckBack } from '../../src/database/checks.ts';
import { beginChecks } from '../../src/database/commit-progress.ts';
import { findCommit, upsertCommit } from '../../src/database/commits.ts';
import { untrackRepository } from '../../src/database/tracked-repositories.ts';
import { statusOfChecks } from '../../src/domain/check-status.ts';
import { checkOfRow } from '../../src/database/check-rows.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let repositoryId: number;
let commitId: number;
let count = 0;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  count += 1;
  const { rows } = await sql<{ id: number }>`
    insert into repositories (gitlab_id, path, last_seen_at, tracked_at)
    values (${count}, ${`acme/p${count}`}, now(), now()) returning id
  `.execute(database.db);
  repositoryId = rows[0]!.id;
  commitId = (await upsertCommit(database.db, { repositoryId, sha: 'a'.repeat(40) }))!.id;
});

/** As the job does it, which has the commit's row then. */
const begin = async (...plugins: string[]) =>
  database.db.transaction().execute(async (transaction) => {
    await sql`select from commits where id = ${commitId} for no key update`.execute(transaction);
    return (await beginChecks(transaction, commitId, plugins)).ids;
  });
const stateNow = async () => (await findCommit(database.db, commitId))!.checksState;
const found = (problems: number): CheckResult => ({
  kind: 'completed',
  problems: Array.from({ length: problems }, (_, at) => ({
    path: at % 2 === 0 ? `f${at}` : null,
    line: at % 2 === 0 ? at + 1 : null,
    column: null,
    ruleId: null,
    level: 'note',
    message: `it's wrong, "${at}"\n{}`,
  })),
  omitted: 0,
});
const FAILED: CheckResult = { kind: 'failed', reason: 'was ended by SIGSEGV', printed: 'p' };
const requests = async () =>
  (
    await sql`
      select from job_requests where kind = 'postCommitStatuses' and payload = ${JSON.stringify({ commitId })}::jsonb
    `.execute(database.db)
  ).rows.length;

describe('checks as rows', () => {
  test('U4a: problems are kept in their order, with how many more there were', async () => {
    const [id = 0] = await begin('lint');
    expect(await endCheck(database.db, id, { ...found(3), omitted: 7 } as CheckResult)).toBe(true);
    const row = await database.db.selectFrom('checks').selectAll().where('id', '=', id).executeTakeFirst();
    expect(row).toMatchObject({ state: 'completed', problems: 10, omitted: 7, reason: null });
    const problems = await database.db
      .selectFrom('problems')
      .selectAll()
      .where('check_id', '=', id)
      .orderBy('number')
      .execute();
    expect(problems.map(({ number, path, message }) => [number, path, message])).toEqual([
      [1, 'f0', `it's wrong, "0"\n{}`],
      [2, null, `it's wrong, "1"\n{}`],
      [3, 'f2', `it's wrong, "2"\n{}`],
    ]);
  });

  test('U4a: ten thousand problems are one statement', async () => {
    const [id = 0] = await begin('lint');
    await endCheck(database.db, id, found(10_000));
    await endCheck(database.db, id, found(9_999));
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from problems where check_id = ${id}`.execute(
      database.db,
    );
    expect(rows).toEqual([{ n: 9_999 }]);
  });

  test('U4a: one that failed and is run again is pending meanwhile, and GitLab is told of each change', async () => {
    const [id = 0] = await begin('lint');
    await beginCheck(database.db, id);
    expect([await stateNow(), await requests()]).toEqual(['pending', 0]);
    await endCheck(database.db, id, FAILED);
    expect([await stateNow(), await requests()]).toEqual(['error', 1]);
    expect(await beginCheck(database.db, id)).toMatchObject({ state: 'failed', repository: { id: repositoryId } });
    expect([await stateNow(), await requests()]).toEqual(['pending', 2]);
    await endCheck(database.db, id, found(0));
    expect([await stateNow(), await requests()]).toEqual(['success', 3]);
    expect(await beginCheck(database.db, id)).toMatchObject({ state: 'completed' });
    await putCheckBack(database.db, id);
    expect([await stateNow(), await requests()]).toEqual(['success', 3]);
  });

  test('U4a: of a newer run, or of a repository that is not tracked, nothing is written', async () => {
    const [older = 0] = await begin('lint');
    const [newer = 0] = await begin('lint');
    expect([await isWanted(database.db, older), await isWanted(database.db, newer)]).toEqual([false, true]);
    expect(await beginCheck(database.db, older)).toBeNull();
    expect(await endCheck(database.db, older, found(1))).toBe(false);
    expect(await stateNow()).toBe('pending');
    await untrackRepository(database.db, repositoryId);
    expect(await isWanted(database.db, newer)).toBe(false);
    expect(await beginCheck(database.db, newer)).toBeNull();
    expect(await endCheck(database.db, newer, found(1))).toBe(false);
  });

  test('U4a: whatever runs at the same time, the commit has what its last checks come to, and each check what it came to', async () => {
    for (let round = 0; round < 8; round++) {
      const ids = await begin('a', 'b', 'c', 'd');
      const results = ids.map((_, at) => (at === round % 4 ? FAILED : found(at)));
      const run = async (id: number, at: number): Promise<void> => {
        if ((await beginCheck(database.db, id)) !== null) await endCheck(database.db, id, results[at]!);
      };
      // Each twice, and in every other round a newer run in between.
      const newer = round % 2 === 0 ? [begin('a', 'b')] : [];
      await Promise.all([...ids.flatMap((id, at) => [run(id, at), run(id, at)]), ...newer]);
      const rows = await database.db
        .selectFrom('checks')
        .selectAll()
        .where('commit_id', '=', commitId)
        .orderBy('id')
        .execute();
      expect(rows).toHaveLength(round % 2 === 0 ? 2 : 4);
      expect(await stateNow()).toBe(statusOfChecks(rows.map(checkOfRow))!.state);
      if (round % 2 === 1) expect(rows.map(({ state }) => state)).toEqual(results.map(({ kind }) => kind));
      const { rows: strays } = await sql`
        select from problems join checks on checks.id = check_id where commit_id = ${commitId} and state <> 'completed'
      `.execute(database.db);
      expect(strays).toEqual([]);
    }
  });
});
