import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keepBranches } from '../../src/database/branches.ts';
import { findCommitBySha } from '../../src/database/commits.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository, untrackRepository } from '../../src/database/tracked-repositories.ts';
import { databaseTime } from '../../src/database/turns.ts';
import { pushedBranchOf } from '../../src/domain/pushed-branch.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { PUSH, TAG_PUSH } from '../support/gitlab-payloads.ts';
import { type Payload, readEvents, storeEvents } from '../support/merge-events.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { refusalOf } from '../support/refusal-of.ts';

const PROJECT = 15;
const NOTHING = '0'.repeat(40);
const A = 'a'.repeat(40);
const B = 'b'.repeat(40);

let database: TestDatabase;
let repositoryId: number;
beforeAll(async () => {
  database = await cloneDatabase();
  await upsertRepositories(database.db, [{ gitlabId: PROJECT, path: 'clay/kiln' }], { groupId: null, at: new Date() });
  repositoryId = (await findRepositoryByPath(database.db, 'clay/kiln'))!.id;
});
afterAll(() => database.drop());

beforeEach(async () => {
  const { db } = database;
  for (const table of ['events', 'job_requests', 'commits', 'branches', 'coverage_history'])
    await sql`delete from ${sql.table(table)}`.execute(db);
  await trackRepository(db, repositoryId);
});

const push = (after: string, { branch = 'main', ...given }: Payload & { branch?: string } = {}): Payload => ({
  ...(JSON.parse(PUSH.body) as Payload),
  ref: `refs/heads/${branch}`,
  after,
  ...given,
});

/** `processCommit`, with the first letter of the commit, and `initializeRepository`, in the order in which they were asked for. */
async function told(...payloads: Payload[]): Promise<string[]> {
  const { db } = database;
  await storeEvents(db, ...payloads);
  const { logger, messages } = recordingLogger();
  expect(await readEvents(db, logger)).toBe(payloads.length);
  expect(messages('WARN', 'ERROR')).toEqual([]);
  const { rows } = await sql<{ asked: string }>`
    with asked as (delete from job_requests returning id, kind, payload)
    select asked.kind || coalesce(' ' || left(sha, 1), '') as asked
    from asked left join commits on commits.id = (payload ->> 'commitId')::int
    where asked.kind in ('processCommit', 'initializeRepository') order by asked.id
  `.execute(db);
  return rows.map(({ asked }) => asked);
}

async function branches(): Promise<Record<string, string>> {
  const rows = await database.db.selectFrom('branches').select(['name', 'head_sha']).orderBy('name').execute();
  return Object.fromEntries(rows.map(({ name, head_sha }) => [name, head_sha]));
}

const commits = async () =>
  (await database.db.selectFrom('commits').select(['sha', 'state']).orderBy('id').execute()).map(
    ({ sha, state }) => `${sha[0]} ${state}`,
  );

const setState = (sha: string, state: 'completed' | 'errored') =>
  database.db.updateTable('commits').set({ state }).where('sha', '=', sha).execute();

describe('what an event of a push says', () => {
  test('U4: the branch and its head; of a branch that is deleted, that there is none', () => {
    expect(pushedBranchOf(push(A, { branch: 'hot/ter' }))).toEqual({
      gitlabProjectId: PROJECT,
      name: 'hot/ter',
      headSha: A,
    });
    expect(pushedBranchOf(push(NOTHING))).toMatchObject({ headSha: null });
    expect(pushedBranchOf(push('0'.repeat(64)))).toMatchObject({ headSha: null });
    expect(pushedBranchOf(push('c'.repeat(64)))).toMatchObject({ headSha: 'c'.repeat(64) });
  });

  test('U4, bad input: tags and other refs are no branches; a head that is no hash is refused, by its field', () => {
    expect(pushedBranchOf(JSON.parse(TAG_PUSH.body))).toBeNull();
    expect(pushedBranchOf(push(A, { ref: 'refs/tags/v1' }))).toBeNull();
    expect(pushedBranchOf(push(A, { ref: 'refs/merge-requests/1/head' }))).toBeNull();
    for (const after of ['main', A.slice(1), `${A} --upload-pack=x`, 7, null])
      expect(refusalOf(() => pushedBranchOf(push(after as string))).message).toMatch(/^after: /);
    expect(refusalOf(() => pushedBranchOf(push(A, { branch: 'a:b' }))).message).toMatch(/^ref: /);
  });
});

describe('a push', () => {
  test('U4: of a new commit makes it known, moves its branch and has it processed; told twice, all is the same', async () => {
    expect(await told(push(A))).toEqual(['processCommit a']);
    expect(await branches()).toEqual({ main: A });
    expect(await commits()).toEqual(['a queued']);
    const before = await findCommitBySha(database.db, repositoryId, A);
    expect(await told(push(A))).toEqual(['processCommit a']);
    expect(await branches()).toEqual({ main: A });
    expect(await findCommitBySha(database.db, repositoryId, A)).toEqual(before);
  });

  test('U4: of a commit that was processed only moves the branch, of one that could not be has it tried again', async () => {
    await told(push(A), push(B));
    await setState(A, 'completed');
    await setState(B, 'errored');
    expect(await told(push(A, { branch: 'other' }))).toEqual(['initializeRepository']);
    expect(await branches()).toEqual({ main: B, other: A });
    expect(await told(push(B, { branch: 'other' }))).toEqual(['processCommit b']);
    expect(await commits()).toEqual(['a completed', 'b errored']);
  });

  test('U4, force push: the branch follows, back to a commit that is known as well, without processing that again', async () => {
    await told(push(A), push(B, { before: A }));
    expect(await branches()).toEqual({ main: B });
    await setState(A, 'completed');
    expect(await told(push(A, { before: B }))).toEqual(['initializeRepository']);
    expect(await branches()).toEqual({ main: A });
  });

  test('U4, deleted branch and 40 zeros: its row goes, and no commit is made of it', async () => {
    await told(push(A), push(A, { branch: 'other' }));
    expect(await told(push(NOTHING, { branch: 'other', before: A, checkout_sha: null }))).toEqual([
      'initializeRepository',
    ]);
    expect(await branches()).toEqual({ main: A });
    await told(push(NOTHING, { branch: 'never-heard-of', before: NOTHING }));
    expect(await branches()).toEqual({ main: A });
    expect(await commits()).toEqual(['a queued']);
  });

  test('U4, tag: nothing comes of it', async () => {
    expect(await told(push(A, { ref: 'refs/tags/v1' }))).toEqual([]);
    await storeEvents(database.db, JSON.parse(TAG_PUSH.body) as Payload);
    expect(await readEvents(database.db)).toBe(0);
    expect([await branches(), await commits()]).toEqual([{}, []]);
  });

  test('U4, bad input: one that is not as documented is passed over, and leaves no trace', async () => {
    await storeEvents(database.db, push('what'), push(A, { project_id: '15' }));
    const { logger, messages } = recordingLogger();
    expect(await readEvents(database.db, logger)).toBe(2);
    expect(messages('WARN')).toHaveLength(2);
    expect([await branches(), await commits()]).toEqual([{}, []]);
  });

  test('U4: to a repository that nobody tracks leaves no trace', async () => {
    await untrackRepository(database.db, repositoryId);
    await told(push(A), push(A, { project_id: 16 }), push(NOTHING));
    expect([await branches(), await commits()]).toEqual([{}, []]);
  });

  test('U4: whose commit is covered already gives its branch the coverage, and a line in its history', async () => {
    const { db } = database;
    await told(push(A), push(B, { branch: 'other' }));
    await setState(A, 'completed');
    const { id } = (await findCommitBySha(db, repositoryId, A))!;
    const lines = { covered: 9, total: 10 };
    await db
      .insertInto('commit_coverage')
      .values({
        commit_id: id,
        ...lines,
        format: 'lcov',
        min_percent: null,
        excluded_files: 0,
        is_enough: true,
        description: '90% covered',
        report_id: 1,
      })
      .execute();
    await told(push(A, { branch: 'other' }));
    const columns = ['name', 'covered', 'total', 'coverage_sha'] as const;
    const other = db.selectFrom('branches').select(columns).where('name', '=', 'other');
    expect(await other.executeTakeFirst()).toEqual({ name: 'other', ...lines, coverage_sha: A });
    // What is not known of the next head is still what was known of the last.
    await told(push(B, { branch: 'other' }));
    expect(await other.executeTakeFirst()).toEqual({ name: 'other', ...lines, coverage_sha: A });
    const history = db.selectFrom('coverage_history').select(['branch', 'covered']).orderBy('branch');
    expect(await history.execute()).toEqual([
      { branch: 'main', covered: 9 }, // which stands there too
      { branch: 'other', covered: 9 },
    ]);
    // And a look at the repository finds branches that have come to stand there.
    const heads = new Map([['third', A]]);
    await keepBranches(db, { repositoryId, fetchedAt: await databaseTime(db) }, heads);
    expect(await db.selectFrom('branches').select(columns).execute()).toEqual([
      { name: 'third', ...lines, coverage_sha: A },
    ]);
  });
});

describe('events that overtake one another', () => {
  test('U4: each asks for a look at the repository; what was fetched earlier does not overwrite what was fetched later', async () => {
    const { db } = database;
    const early = await databaseTime(db);
    expect(await told(push(B, { before: A }), push(A, { before: NOTHING }))).toEqual([
      'processCommit b',
      'processCommit a',
    ]);
    expect(await branches()).toEqual({ main: A });
    const late = await databaseTime(db);
    expect(await keepBranches(db, { repositoryId, fetchedAt: late }, new Map([['main', B]]))).toBe(true);
    const stale = new Map([
      ['main', A],
      ['gone', A],
    ]);
    expect(await keepBranches(db, { repositoryId, fetchedAt: early }, stale)).toBe(false);
    expect(await branches()).toEqual({ main: B });
  });

  test('U4: looks at once, in any order, end in the latest of them', async () => {
    const { db } = database;
    const names = Array.from({ length: 40 }, (_, n) => `branch-${n}`);
    const looks = [];
    for (let n = 0; n < 12; n++) {
      const heads = new Map(names.filter((_, at) => (at + n) % 3 > 0).map((name) => [name, String(n % 10).repeat(40)]));
      looks.push({ fetchedAt: await databaseTime(db), heads });
    }
    const shuffled = looks.toSorted(() => Math.random() - 0.5);
    await Promise.all(shuffled.map(({ fetchedAt, heads }) => keepBranches(db, { repositoryId, fetchedAt }, heads)));
    expect(await branches()).toEqual(Object.fromEntries([...looks.at(-1)!.heads].sort()));
  });

  test('U4: a repository that is removed meanwhile leaves no branch', async () => {
    const { db } = database;
    await told(push(A));
    await untrackRepository(db, repositoryId);
    expect(await keepBranches(db, { repositoryId, fetchedAt: await databaseTime(db) }, new Map([['x', A]]))).toBe(
      false,
    );
    expect(await branches()).toEqual({});
  });
});
