import { type KyselyPlugin, sql } from 'kysely';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createCoverage } from '../../activities/coverage.ts';
import { jobFailure } from '../../activities/failures.ts';
import type { JobClones } from '../../activities/job-clones.ts';
import type { JobOutcome } from '../../activities/job-context.ts';
import { Coverage } from '../../src/client/coverage.ts';
import { coverBranches, lockCommit } from '../../src/database/commit-coverage.ts';
import { untrackRepository } from '../../src/database/tracked-repositories.ts';
import { REPORT_HOLD_MS } from '../../src/domain/coverage-report.ts';
import { MAIN } from '../support/git-project.ts';
import { type MergeWorld, type ServedRepository, startMergeWorld } from '../support/merge-world.ts';

let world: MergeWorld;
let served: ServedRepository;
let count = 0;
beforeAll(async () => {
  world = await startMergeWorld();
});
afterAll(() => world.stop());
beforeEach(async () => {
  served = await world.addRepository(`project-${++count}`);
});
afterEach(() => world.db.deleteFrom('job_requests').execute());

const { signal } = new AbortController();
const FILES = { 'src/a.ts': 'a\n', 'src/b.ts': 'b\n', 'src/gen/c.ts': 'c\n' };
const LCOV = lcov({ 'src/a.ts': [4, 5], 'src/b.ts': [1, 1], 'src/gen/c.ts': [0, 10] });

/** Of each file, so many lines covered of so many. */
function lcov(files: Record<string, [covered: number, total: number]>): string {
  return Object.entries(files)
    .map(([path, [covered, total]]) => {
      const lines = Array.from({ length: total }, (_, at) => `DA:${at + 1},${at < covered ? 1 : 0}\n`);
      return `SF:${path}\n${lines.join('')}end_of_record\n`;
    })
    .join('');
}

/** A commit that is pushed to `main`, with its row and its branch's as its own jobs make them. */
async function commit(tree: Record<string, string>, state: 'queued' | 'completed' = 'completed') {
  const [sha = ''] = await served.repository.commit({ ref: MAIN, tree });
  const { id } = await world.db
    .insertInto('commits')
    .values({ repository_id: served.id, sha, state })
    .returning('id')
    .executeTakeFirstOrThrow();
  await stand('main', sha);
  return { id, sha };
}

async function stand(name: string, sha: string): Promise<void> {
  await world.db
    .insertInto('branches')
    .values({ repository_id: served.id, name, head_sha: sha })
    .onConflict((conflict) => conflict.columns(['repository_id', 'name']).doUpdateSet({ head_sha: sha }))
    .execute();
}

async function submit(sha: string, report = LCOV): Promise<number> {
  const submitted = await new Coverage({ db: world.db }).submit({ repository: served.project.path, sha, report });
  return submitted.reportId;
}

async function process(
  { sha, report }: { sha: string; report: number },
  { now = Date.now(), clones = world.clones }: { now?: number; clones?: Pick<JobClones, 'use'> } = {},
): Promise<JobOutcome> {
  const job = createCoverage({ db: world.db, clones });
  return job.processCoverage({ repositoryId: served.id, sha, report }, { signal, now });
}

/** All that is known of the coverage of the repository, but times and ids that grow. */
async function known() {
  const { rows: coverage } = await sql`
    select sha, format, covered, total, min_percent, excluded_files, is_enough, description,
      (select json_agg(json_build_array(path, coverage_files.covered, coverage_files.total) order by number)
        from coverage_files where coverage_files.commit_id = commits.id) as files
    from commit_coverage join commits on commits.id = commit_id where repository_id = ${served.id} order by commits.id
  `.execute(world.db);
  const branches = await world.db
    .selectFrom('branches')
    .select(['name', 'covered', 'total', 'coverage_sha'])
    .where('repository_id', '=', served.id)
    .orderBy('name')
    .execute();
  const history = await world.db
    .selectFrom('coverage_history')
    .select(['branch', 'commit_id', 'covered', 'total', 'at'])
    .where('repository_id', '=', served.id)
    .orderBy('branch')
    .orderBy('commit_id')
    .execute();
  return { coverage, branches, history };
}

const reportOf = async (id: number) =>
  world.db
    .selectFrom('coverage_reports')
    .select(['state', 'problem', 'content'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
const over = (state: string, problem: string | null = null) => ({ state, problem, content: null });
const asked = async () =>
  (await world.db.selectFrom('job_requests').select(['kind', 'payload']).orderBy('id').execute())
    .filter(({ kind }) => kind !== 'processCoverage')
    .map(({ kind, payload }) => `${kind} ${JSON.stringify(payload)}`);

describe('U5: a report of a commit that is there', () => {
  test('is kept by file and in total, without what the manifest excludes; its branches and their history have it', async () => {
    const { id, sha } = await commit({
      ...FILES,
      '.forgeflow.yaml': 'version: 1\ncoverage: { min_percent: 80, exclude_paths: ["src/gen"] }\n',
    });
    await stand('topic', sha);
    await stand('elsewhere', '1'.repeat(40));
    const report = await submit(sha);
    expect(await process({ sha, report })).toEqual({
      summary: '83.33% covered',
      covered: 5,
      total: 6,
      isEnough: true,
      files: 2,
    });
    expect(await known()).toEqual({
      coverage: [
        {
          sha,
          format: 'lcov',
          covered: 5,
          total: 6,
          min_percent: 80,
          excluded_files: 1,
          is_enough: true,
          description: '83.33% covered',
          files: [
            ['src/a.ts', 4, 5],
            ['src/b.ts', 1, 1],
          ],
        },
      ],
      branches: [
        { name: 'elsewhere', covered: null, total: null, coverage_sha: null },
        { name: 'main', covered: 5, total: 6, coverage_sha: sha },
        { name: 'topic', covered: 5, total: 6, coverage_sha: sha },
      ],
      history: ['main', 'topic'].map((branch) => ({
        branch,
        commit_id: id,
        covered: 5,
        total: 6,
        at: expect.any(Date) as Date,
      })),
    });
    expect(await reportOf(report)).toEqual(over('processed'));
    expect(await asked()).toEqual([`postCommitStatuses {"commitId":${id}}`]);
  });

  test.each<[string, string, number, [number, number], object]>([
    [
      'what is required, unrounded, is missed by a hair',
      '95',
      95,
      [18_999, 20_000],
      {
        is_enough: false,
        description: '94.99% covered (at least 95% is required)',
      },
    ],
    [
      'what is required is reached on the dot',
      '94.29',
      94.29,
      [9_429, 10_000],
      {
        is_enough: true,
        description: '94.29% covered',
      },
    ],
    [
      'too little',
      '95',
      95,
      [9_429, 10_000],
      {
        is_enough: false,
        description: '94.29% covered (at least 95% is required)',
      },
    ],
    ['no lines are 0%', '1', 1, [0, 0], { is_enough: false, description: '0% covered (at least 1% is required)' }],
    ['no lines, and nothing required', '0', 0, [0, 0], { is_enough: true, description: '0% covered' }],
  ])('%s', async (_, written, min_percent, [covered, total], verdict) => {
    const { sha } = await commit({
      ...FILES,
      '.forgeflow.yaml': `version: 1\ncoverage: { min_percent: ${written} }\n`,
    });
    await process({ sha, report: await submit(sha, lcov({ 'src/a.ts': [covered, total] })) });
    expect((await known()).coverage).toMatchObject([{ covered, total, min_percent, ...verdict }]);
  });

  test('all of whose files are excluded has no lines', async () => {
    const { sha } = await commit({ ...FILES, '.forgeflow.yaml': 'version: 1\ncoverage: { exclude_paths: ["**"] }\n' });
    await process({ sha, report: await submit(sha) });
    expect((await known()).coverage).toMatchObject([
      { covered: 0, total: 0, excluded_files: 3, description: '0% covered', files: null },
    ]);
  });

  test('Cobertura of another machine: its files are those of the commit, and one of nowhere stays as it is named', async () => {
    const { sha } = await commit(FILES);
    const classes = ['/builds/acme/shop/src/a.ts', 'C:\\work\\src\\b.ts', `/usr/${'long/'.repeat(800)}x.h`].map(
      (name) => `<class filename="${name}"><lines><line number="1" hits="1"/></lines></class>`,
    );
    const text = `<coverage><packages><package><classes>${classes.join('\n')}</classes></package></packages></coverage>`;
    await process({ sha, report: await submit(sha, text) });
    expect((await known()).coverage).toMatchObject([
      {
        format: 'cobertura',
        files: [
          [`/usr/${'long/'.repeat(800)}x.h`, 1, 1],
          ['src/a.ts', 1, 1],
          ['src/b.ts', 1, 1],
        ],
      },
    ]);
  });

  test('of a commit that no branch stands at is kept without history', async () => {
    const { sha } = await commit(FILES);
    await stand('main', '2'.repeat(40));
    await process({ sha, report: await submit(sha) });
    expect(await known()).toMatchObject({ coverage: [{ sha }], branches: [{ covered: null }], history: [] });
  });

  test('bad input: with a manifest that is wrong it fails with the line; what was known before stays', async () => {
    const before = await commit(FILES);
    await process({ sha: before.sha, report: await submit(before.sha) });
    const { sha } = await commit({ ...FILES, '.forgeflow.yaml': 'version: 1\ncoverage:\n  min_percent: lots\n' });
    const then = await known();
    await world.db.deleteFrom('job_requests').execute();
    const report = await submit(sha);
    const outcome = await process({ sha, report });
    const { problem } = await reportOf(report);
    expect(problem).toMatch(/^\.forgeflow\.yaml, line 3, column 16: coverage\.min_percent: /);
    expect([outcome, await reportOf(report)]).toEqual([
      { summary: `failed: ${problem}`, state: 'failed' },
      over('failed', problem),
    ]);
    expect([await known(), await asked()]).toEqual([then, []]);
  });

  test('once more with other lines: the later report counts, and history has the commit once', async () => {
    const { sha } = await commit(FILES);
    await process({ sha, report: await submit(sha) });
    await process({ sha, report: await submit(sha, lcov({ 'src/b.ts': [1, 2] })) });
    expect(await known()).toMatchObject({
      coverage: [{ covered: 1, total: 2, files: [['src/b.ts', 1, 2]] }],
      branches: [{ covered: 1, total: 2 }],
      history: [{ covered: 1, total: 2 }],
    });
    expect((await known()).history).toHaveLength(1);
  });
});

describe('U5: the same end, however often it is run', () => {
  test('twice in a row', async () => {
    const { sha } = await commit(FILES);
    const report = await submit(sha);
    await process({ sha, report });
    const [then, wanted] = [await known(), await asked()];
    expect(await process({ sha, report })).toEqual({
      summary: 'nothing to do: it is processed already',
      state: 'processed',
    });
    // And by a job for the same report that was sent once more.
    const again = await submit(sha);
    await process({ sha, report: again });
    expect(await known()).toEqual(then);
    expect(await asked()).toEqual([...wanted, ...wanted]);
  });

  test('several at once', async () => {
    const { sha, id } = await commit(FILES);
    const report = await submit(sha);
    const outcomes = await Promise.all(Array.from({ length: 4 }, () => process({ sha, report })));
    expect(outcomes.filter((outcome) => 'covered' in outcome)).toHaveLength(1);
    expect(await known()).toMatchObject({ coverage: [{ covered: 5, total: 16 }], history: [{ covered: 5 }] });
    expect(await asked()).toEqual([`postCommitStatuses {"commitId":${id}}`]);
  });

  test('whichever statement is the last of a worker that is killed: all or nothing of it, and then the same', async () => {
    const { sha, id } = await commit(FILES);
    const report = await submit(sha);
    const nothing = await known();
    let kills = 0;
    for (; ; kills++) {
      const { db, isReached } = diesAt(kills);
      const job = createCoverage({ db, clones: world.clones });
      const payload = { repositoryId: served.id, sha, report };
      await job.processCoverage(payload, { signal, now: Date.now() }).catch(() => undefined);
      if (!isReached()) break;
      expect(await known(), `killed at ${kills}`).toEqual(nothing);
      expect([(await reportOf(report)).state, await asked()]).toEqual(['held', []]);
    }
    expect(kills).toBeGreaterThan(10);
    expect(await known()).toMatchObject({
      coverage: [{ covered: 5, total: 16 }],
      branches: [{ covered: 5 }],
      history: [{ covered: 5 }],
    });
    expect([await reportOf(report), await asked()]).toEqual([
      over('processed'),
      [`postCommitStatuses {"commitId":${id}}`],
    ]);
  });

  /** The database of a worker that gets no further than to that statement, counted from 0. */
  function diesAt(statement: number) {
    let sent = 0;
    const plugin: KyselyPlugin = {
      transformQuery({ node }) {
        if (sent++ >= statement) throw new Error('killed');
        return node;
      },
      transformResult: ({ result }) => Promise.resolve(result),
    };
    return { db: world.db.withPlugin(plugin), isReached: () => sent > statement };
  }

  test('a later report that comes while it is read: nothing of the earlier one is kept', async () => {
    const { sha } = await commit(FILES);
    const report = await submit(sha);
    let later = 0;
    const clones: Pick<JobClones, 'use'> = {
      use: async (repository, work, aborted) => {
        const result = await world.clones.use(repository, work, aborted);
        later = await submit(sha, lcov({ 'src/b.ts': [1, 1] }));
        return result;
      },
    };
    expect(await process({ sha, report }, { clones })).toMatchObject({ state: 'replaced' });
    expect((await known()).coverage).toEqual([]);
    await process({ sha, report: later });
    expect((await known()).coverage).toMatchObject([{ covered: 1, total: 1 }]);
  });

  test('a repository that is removed while it is read: nothing is left', async () => {
    const { sha } = await commit(FILES);
    const report = await submit(sha);
    const clones: Pick<JobClones, 'use'> = {
      use: async (repository, work, aborted) => {
        const result = await world.clones.use(repository, work, aborted);
        await untrackRepository(world.db, served.id);
        return result;
      },
    };
    await process({ sha, report }, { clones });
    expect(await known()).toMatchObject({ coverage: [], history: [] });
    const failure = await process({ sha, report }).catch((error: unknown) => jobFailure(error, 1));
    expect(failure).toMatchObject({
      nonRetryable: true,
      message: expect.stringContaining('no tracked repository') as string,
    });
  });

  test('a branch that comes to stand at the commit just then has its coverage, whichever is first', async () => {
    const { sha, id } = await commit(FILES);
    for (let round = 0; round < 5; round++) {
      const report = await submit(sha);
      const name = `branch-${round}`;
      const push = world.db.transaction().execute(async (transaction) => {
        await lockCommit(transaction, id);
        await transaction.insertInto('branches').values({ repository_id: served.id, name, head_sha: sha }).execute();
        await coverBranches(transaction, id);
      });
      await Promise.all([push, process({ sha, report })]);
      const { branches, history } = await known();
      expect(branches.find((branch) => branch.name === name)).toMatchObject({ covered: 5, total: 16 });
      expect(history.filter(({ branch }) => branch === name)).toHaveLength(1);
      await world.db.deleteFrom('commit_coverage').where('commit_id', '=', id).execute();
    }
  });
});

describe('U5: a report of a commit that is not there', () => {
  test.each(['unknown', 'queued'] as const)('%s: it is held to two hours on the dot', async (how) => {
    const sha = how === 'unknown' ? '3'.repeat(40) : (await commit(FILES, 'queued')).sha;
    const report = await submit(sha);
    const receivedAt = await world.db
      .selectFrom('coverage_reports')
      .select('received_at')
      .where('id', '=', report)
      .executeTakeFirstOrThrow();
    const deadline = receivedAt.received_at.getTime() + REPORT_HOLD_MS;
    const wait = {
      postponedUntil: new Date(deadline).toISOString(),
      reason: how === 'unknown' ? 'its commit has not come yet' : 'its commit is not cloned yet',
      wakesWhenAsked: true,
    };
    expect(await process({ sha, report })).toEqual(wait);
    expect(await process({ sha, report }, { now: deadline - 1 })).toEqual(wait);
    expect(await reportOf(report)).toMatchObject({ state: 'held', problem: null });
    const problem =
      how === 'unknown'
        ? 'its commit did not come within 2 hours'
        : 'its commit came, but was not cloned within 2 hours';
    const dropped = { summary: `dropped: ${problem}`, state: 'dropped' };
    expect(await process({ sha, report }, { now: deadline })).toEqual(dropped);
    expect(await reportOf(report)).toEqual(over('dropped', problem));
    expect(await process({ sha, report }, { now: deadline })).toEqual({
      summary: `nothing to do: it is dropped already (${problem})`,
      state: 'dropped',
    });
  });

  // As after an outage, in which nobody dropped it.
  test.each([
    [119, 'processed', null],
    [121, 'dropped', 'its commit did not come within 2 hours'],
  ])('that came %i minutes later: %s', async (minutes, state, problem) => {
    const { sha } = await commit(FILES);
    const report = await submit(sha);
    const receivedAt = new Date(Date.now() - minutes * 60_000);
    await world.db
      .updateTable('coverage_reports')
      .set({ received_at: receivedAt } as never)
      .where('id', '=', report)
      .execute();
    await process({ sha, report }, { now: receivedAt.getTime() + 5 * REPORT_HOLD_MS });
    expect(await reportOf(report)).toEqual(over(state, problem));
  });

  test.each([
    ['of no such report', () => ({ sha: '4'.repeat(40), report: 99_999 })],
    ["of a report of another's commit", async () => ({ sha: '4'.repeat(40), report: await submit('5'.repeat(40)) })],
  ])('bad input: a job %s fails for good', async (_, payload) => {
    const failure = await process(await payload()).catch((error: unknown) => jobFailure(error, 1));
    expect(failure).toMatchObject({
      nonRetryable: true,
      message: expect.stringContaining('has no coverage report') as string,
    });
  });
});
