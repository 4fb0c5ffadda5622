import { tmpdir } from 'node:os';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createCommitStatuses } from '../../activities/commit-statuses.ts';
import { createGitlabAccess, type GitlabAccess } from '../../activities/gitlab-access.ts';
import type { JobOutcome } from '../../activities/job-context.ts';
import { loadConfig } from '../../src/config.ts';
import { upsertCommit } from '../../src/database/commits.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository, untrackRepository } from '../../src/database/tracked-repositories.ts';
import type { ChecksState } from '../../src/domain/commit.ts';
import { createGitlabClient } from '../../src/gitlab/client.ts';
import { ask } from '../gitlab/stand-in/api.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { type Gitlab, type Project, startGitlab } from '../support/gitlab/index.ts';

let database: TestDatabase;
let gitlab: Gitlab;
let access: GitlabAccess;
let commit: { id: number; sha: string; project: Project; repositoryId: number };
let numbers = 0;

beforeAll(async () => {
  [database, gitlab] = await Promise.all([cloneDatabase(), startGitlab()]);
});
afterEach(() => access.close());
afterAll(async () => {
  await database.drop();
  await gitlab.close();
});

beforeEach(async () => {
  const { db } = database;
  const config = loadConfig({ GITLAB_URL: gitlab.url, GITLAB_TOKEN: gitlab.token }, tmpdir());
  access = createGitlabAccess(config, (where) => createGitlabClient({ ...where, timeoutMs: 2_000 }));
  const project = gitlab.addProject({ path: `pot-${++numbers}` });
  const sha = String(numbers).padStart(40, 'a');
  await gitlab.push(project, { to: sha });
  await upsertRepositories(db, [{ gitlabId: project.id, path: project.path }], { groupId: null, at: new Date() });
  const { id: repositoryId } = (await findRepositoryByPath(db, project.path))!;
  await trackRepository(db, repositoryId);
  const { id } = (await upsertCommit(db, { repositoryId, sha }))!;
  commit = { id, sha, project, repositoryId };
  gitlab.forgetRequests();
});

const post = (commitId = commit.id, signal = new AbortController().signal): Promise<JobOutcome> =>
  createCommitStatuses({ db: database.db, gitlab: access }).postCommitStatuses(
    { commitId },
    { signal, now: Date.now() },
  );

async function setChecks(state: ChecksState, problems?: number): Promise<void> {
  const { db } = database;
  await db
    .updateTable('commits')
    .set({ state: 'completed', failure: null, checks_state: state, checks_run: 1 })
    .where('id', '=', commit.id)
    .execute();
  await db.deleteFrom('checks').where('commit_id', '=', commit.id).execute();
  if (problems === undefined && state !== 'pending') return;
  const progress =
    problems === undefined ? ({ state: 'waiting' } as const) : ({ state: 'completed', problems } as const);
  await db
    .insertInto('checks')
    .values({ commit_id: commit.id, run: 1, plugin: 'lint', ...progress })
    .execute();
}

async function setCoverage(covered: number, isEnough: boolean): Promise<void> {
  const row = {
    format: 'lcov',
    covered,
    total: 100,
    min_percent: 95,
    excluded_files: 0,
    is_enough: isEnough,
    description: `${covered}% covered`,
    report_id: 1,
  } as const;
  await database.db
    .insertInto('commit_coverage')
    .values({ commit_id: commit.id, ...row })
    .onConflict((conflict) => conflict.column('commit_id').doUpdateSet(row))
    .execute();
}

/** What GitLab shows, those that were replaced included. */
async function shown(): Promise<string[]> {
  const path = `/projects/${commit.project.id}/repository/commits/${commit.sha}/statuses?all=true`;
  const { body } = await ask(gitlab, `GET ${path}`);
  return (body as Record<string, string>[]).map(({ name, status, description }) => `${name} ${status}: ${description}`);
}

const recorded = () =>
  database.db
    .selectFrom('commit_statuses')
    .select(['name', 'state', 'description'])
    .where('commit_id', '=', commit.id)
    .orderBy('name')
    .execute();

describe('U4: statuses of a commit', () => {
  test('U4, U5: go from pending to their end, coverage beside the checks; what GitLab knows it is not told again', async () => {
    expect(await post()).toEqual({ summary: 'GitLab knows all of it', posted: 0 });
    await setChecks('pending');
    expect(await post()).toEqual({ summary: 'told GitLab of 1', posted: 1 });
    expect(await post()).toMatchObject({ posted: 0 });
    await setChecks('success', 0);
    await setCoverage(94, false);
    expect(await post()).toMatchObject({ posted: 2 });
    expect(await post()).toMatchObject({ posted: 0 });
    expect(await shown()).toEqual(['forgeflow success: No issues detected', 'forgeflow/coverage failed: 94% covered']);
    expect(await recorded()).toEqual([
      { name: 'forgeflow', state: 'success', description: 'No issues detected' },
      { name: 'forgeflow/coverage', state: 'failure', description: '94% covered' },
    ]);
  });

  test('U4: run anew, they are pending again', async () => {
    for (const [state, problems] of [['failure', 2], ['pending'], ['success', 0]] as const) {
      await setChecks(state, problems);
      await post();
    }
    expect(await shown()).toEqual(['forgeflow failed: 2 issues detected', 'forgeflow success: No issues detected']);
  });

  test('U4: nothing is said where no checks are configured, unless an error was told before', async () => {
    await setChecks('not_configured');
    expect(await post()).toMatchObject({ posted: 0 });
    const failed = { state: 'errored', failure: 'git fetch: the disk is full', checks_state: 'error' } as const;
    await database.db.updateTable('commits').set(failed).where('id', '=', commit.id).execute();
    await post();
    await setChecks('not_configured');
    await post();
    expect(await shown()).toEqual([
      'forgeflow failed: git fetch: the disk is full',
      'forgeflow success: No checks are configured',
    ]);
  });

  test('U4, twice, at once: GitLab shows the same, and so do our books', async () => {
    await setChecks('pending');
    await Promise.all([post(), post(), post()]);
    expect(await shown()).toEqual(['forgeflow pending: 1 check is under way']);
    await setChecks('failure', 3);
    await Promise.all([post(), post(), post()]);
    expect(await recorded()).toEqual([{ name: 'forgeflow', state: 'failure', description: '3 issues detected' }]);
    expect(new Set(await shown())).toEqual(new Set(['forgeflow failed: 3 issues detected']));
  });

  test('U4: what has changed while GitLab was told is told as well', async () => {
    await setChecks('pending');
    const { db } = database;
    const real = access.api();
    const changing: GitlabAccess = {
      ...access,
      api: () => ({
        ...real,
        client: {
          ...real.client,
          async postCommitStatus(...call) {
            await real.client.postCommitStatus(...call);
            if (call[1].state === 'pending') await setChecks('success', 0);
          },
        },
      }),
    };
    const { signal } = new AbortController();
    const job = createCommitStatuses({ db, gitlab: changing });
    await job.postCommitStatuses({ commitId: commit.id }, { signal, now: Date.now() });
    expect(await shown()).toEqual(['forgeflow success: No issues detected']);
  });

  test.each(['lostAnswer', { statusAfterWork: 502 }] as const)(
    'U4, killed in the middle: told, but not noted (%j), it is told again, and all is as if it had been told once',
    async (fault) => {
      for (const [state, problems, status] of [
        ['pending', undefined, 'pending: 1 check is under way'],
        ['success', 0, 'success: No issues detected'],
      ] as const) {
        await setChecks(state, problems);
        const before = await recorded();
        gitlab.faults.add({ method: 'POST', path: /\/statuses\//, times: 1, fault });
        await expect(post()).rejects.toThrow(/GitLab/);
        expect(await recorded()).toEqual(before);
        await post();
        expect(new Set(await shown())).toEqual(new Set([`forgeflow ${status}`]));
      }
      expect(await recorded()).toHaveLength(1);
    },
  );

  test('U4: broken off while GitLab is asked, nothing is noted', async () => {
    await setChecks('pending');
    gitlab.faults.add({ method: 'POST', times: 1, fault: 'hang' });
    await expect(post(commit.id, AbortSignal.timeout(200))).rejects.toThrow();
    gitlab.faults.clear();
    expect(await recorded()).toEqual([]);
    expect(await post()).toMatchObject({ posted: 1 });
  });

  test('U4: a commit that GitLab has no more is dead at once; a repository that is not tracked is told of nothing', async () => {
    await setChecks('success', 0);
    const { db } = database;
    await db
      .updateTable('commits')
      .set({ sha: 'd'.repeat(40) })
      .where('id', '=', commit.id)
      .execute();
    await expect(post()).rejects.toMatchObject({
      nonRetryable: true,
      message: 'GitLab does not have the commit dddddddd in any branch',
    });
    await untrackRepository(db, commit.repositoryId);
    const gone = { summary: 'there is no such commit any more', posted: 0 };
    expect(await post()).toEqual(gone);
    expect(await post(2_000_000)).toEqual(gone);
    expect(await recorded()).toEqual([]);
  });

  test('U4: GitLab without patience postpones it', async () => {
    await setChecks('pending');
    gitlab.faults.add({ method: 'POST', times: 1, fault: { status: 429, headers: { 'Retry-After': '30' } } });
    expect(await post()).toMatchObject({ reason: "GitLab's rate limit is used up" });
    expect(await recorded()).toEqual([]);
  });
});
