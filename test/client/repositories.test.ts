import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upsertMergeRequest } from '../../src/database/merge-requests.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { mergeRequestIn } from '../database/merge-request-rows.ts';
import { startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { type MergeEnvironment, startMergeEnvironment } from '../support/merge-environment.ts';

let environment: MergeEnvironment;
beforeAll(async () => {
  environment = await startMergeEnvironment();
});
afterAll(() => environment.stop());

const client = () => environment.forgeflow.repositories;
const refusal = async (attempt: Promise<unknown>) => {
  const error: unknown = await attempt.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Refusal);
  return error as Refusal;
};
const anyTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
const anyNumber = expect.any(Number) as number;

describe('a tracked repository', () => {
  test('is added, filled by its jobs, shown, listed and removed', async () => {
    const { gitlab } = environment;
    expect(await client().list()).toEqual([]);
    const { project, repository } = await environment.serve('shop');
    const headSha = await repository.git('rev-parse', 'main');
    const added = await client().add('/acme/shop/', { requiredApprovals: 2 });
    expect(added).toEqual({
      id: anyNumber,
      gitlabId: project.id,
      path: 'acme/shop',
      trackedAt: anyTime,
      defaultBranch: added.defaultBranch,
      headSha: added.headSha,
      requiredApprovals: 2,
      cloneBytes: added.cloneBytes,
      fetchedAt: added.fetchedAt,
      openMergeRequests: 0,
      commitsSize: added.commitsSize,
      coverage: null,
      members: added.members,
      permissionsReadAt: added.permissionsReadAt,
      index: added.index,
    });
    const topic = await gitlab.commit(project, { branch: 'topic', files: { 'b.txt': 'b\nb\n', 'a.txt': null } });
    const reviewer = gitlab.addUser({ username: 'reviewer' });
    const opened = await gitlab.openMergeRequest(project, { sourceBranch: 'topic', reviewers: [reviewer] });
    await gitlab.reportStatus(project, { sha: topic, ref: 'topic', name: 'ci', status: 'failed' });
    await client().add('acme/shop'); // there was no hook to tell of it
    const done = await eventually(async () => {
      const shown = await client().show('ACME/Shop');
      expect(shown.index?.commit).toBe(headSha);
      expect(shown.mergeRequests[0]).toMatchObject({ mergeState: 'clean', statuses: 'failure' });
      return shown;
    });
    expect(done).toMatchObject({
      ...added,
      // These come of other jobs, which may still be under way.
      commitsSize: done.commitsSize,
      members: done.members,
      permissionsReadAt: done.permissionsReadAt,
      defaultBranch: 'main',
      headSha,
      cloneBytes: anyNumber,
      fetchedAt: anyTime,
      openMergeRequests: 1,
      index: { commit: headSha, indexedAt: anyTime, files: 2, truncated: false },
      mergeRequests: [
        {
          id: anyNumber,
          iid: opened.iid,
          title: 'Change topic',
          sourceBranch: 'topic',
          targetBranch: 'main',
          mergeState: 'clean',
          mergeable: true,
          rebaseable: true,
          ahead: 1,
          behind: 0,
          changedFiles: 2,
          additions: 2,
          deletions: 1,
          reviewDecision: 'review_required',
          statuses: 'failure',
        },
      ],
    });
    expect(done.mergeRequests).toHaveLength(1);
    await eventually(async () => {
      const [listed] = await client().list();
      expect(await client().show('acme/shop')).toMatchObject(listed ?? {});
      expect(listed).toMatchObject({ path: 'acme/shop', members: 1, permissionsReadAt: anyTime });
    });

    await client().remove('acme/shop');
    expect(await client().list()).toEqual([]);
    const missing = 'no repository "acme/shop" is tracked; "forgeflow repositories list" shows those that are';
    expect(await refusal(client().remove('acme/shop'))).toMatchObject({ kind: 'not_found', message: missing });
    expect(await refusal(client().show('acme/shop'))).toMatchObject({ kind: 'not_found', message: missing });
  });

  test('keeps its required approvals unless somebody speaks of them; those who ask at once for different things each get theirs', async () => {
    await environment.serve('strict');
    const required = async (options?: { requiredApprovals?: number | null }) =>
      (await client().add('acme/strict', options)).requiredApprovals;
    expect(await required()).toBeNull();
    expect(await required({ requiredApprovals: 0 })).toBe(0);
    expect(await required()).toBe(0);
    expect(await required({ requiredApprovals: null })).toBeNull();
    const ids = await Promise.all(
      [undefined, 1, 2, 3, null].map(
        async (requiredApprovals) => (await client().add('acme/strict', { requiredApprovals })).id,
      ),
    );
    expect(new Set(ids).size).toBe(1);
    expect(await required({ requiredApprovals: 100 })).toBe(100);
  });

  test('is listed by its path; of many open merge requests the newest hundred are shown', async () => {
    for (const path of ['zebra', 'Apple', 'mango']) await environment.serve(path);
    for (const path of ['zebra', 'Apple', 'mango']) await client().add(`acme/${path}`);
    const paths = (await client().list()).map(({ path }) => path);
    expect(paths.filter((path) => /zebra|Apple|mango/.test(path))).toEqual(['acme/Apple', 'acme/mango', 'acme/zebra']);
    const { gitlabId, id } = await client().show('acme/mango');
    // GitLab has none of them, which the job that lists them must have found out before.
    await eventually(() =>
      environment.forgeflow.temporal.workflow.getHandle(`sync_merge_requests/repo/${id}`).result(),
    );
    const { db } = environment.database;
    for (let iid = 1; iid <= 103; iid++) await upsertMergeRequest(db, mergeRequestIn(gitlabId, { iid }));
    await upsertMergeRequest(db, mergeRequestIn(gitlabId, { iid: 104, state: 'merged' }));
    const { mergeRequests, openMergeRequests } = await client().show('acme/mango');
    expect(openMergeRequests).toBe(103);
    expect(mergeRequests.map(({ iid }) => iid)).toEqual(Array.from({ length: 100 }, (_, n) => 103 - n));
    const unknown = { mergeState: 'unknown', mergeable: null, ahead: null, reviewDecision: null, statuses: null };
    expect(mergeRequests[0]).toMatchObject(unknown);
  });
});

describe('is refused before anything is begun', () => {
  const noPaths = ['', ' ', '/', 'shop', 'a//b', 'https://gitlab.example.com/a/b', 'a/b?c', 'a b/c', 'a/b#1'];
  test('bad input: what is no path', async () => {
    for (const path of [...noPaths, `a/${'b'.repeat(1_000)}`]) {
      for (const verb of ['add', 'show', 'remove'] as const) {
        expect(await refusal(client()[verb](path)), path).toMatchObject({
          kind: 'invalid',
          message: 'path: it is not the path of a repository, group/project',
        });
      }
    }
  });

  test.each([-1, 1.5, 101, Number.NaN])('bad input: %d approvals', async (requiredApprovals) => {
    const message = 'requiredApprovals: it is not a whole number from 0 to 100';
    expect(await refusal(client().add('acme/shop', { requiredApprovals }))).toMatchObject({
      kind: 'invalid',
      message,
    });
  });
});

describe('what GitLab does not let us have', () => {
  const rows = async (path: string) =>
    environment.database.db.selectFrom('repositories').selectAll().where('path', '=', path).execute();

  test('bad input: does not exist: not_found, and no trace', async () => {
    expect(await refusal(client().add('acme/nothing'))).toMatchObject({
      kind: 'not_found',
      message: 'there is no repository acme/nothing that our account sees',
    });
    expect(await rows('acme/nothing')).toEqual([]);
  });

  test('is not to be had now: one sentence says why, and there is no trace', async () => {
    const { gitlab } = environment;
    await environment.serve('later');
    gitlab.rateLimit.refuse({ forSeconds: 600 });
    await expect(client().add('acme/later')).rejects.toThrow(
      /^GitLab's rate limit is used up; try again after \d{4}-\S+Z$/,
    );
    gitlab.rateLimit.allow();
    gitlab.blockUser(gitlab.bot);
    await expect(client().add('acme/later')).rejects.toThrow(/^GitLab does not accept GITLAB_TOKEN$/);
    gitlab.blockUser(gitlab.bot, false);
    expect(await rows('acme/later')).toEqual([]);
    expect(await client().add('acme/later')).toMatchObject({ path: 'acme/later' });
  });

  test('without GITLAB_URL the error names it', async () => {
    const other = await startEnvironment({ settings: { GITLAB_TOKEN: 'glpat-of-nobody' } });
    const attempt = other.forgeflow.repositories.add('acme/shop');
    await expect(attempt).rejects.toThrow(/^GITLAB_URL: it is not set, so there is no GitLab to work with$/);
    expect(await other.database.db.selectFrom('repositories').selectAll().execute()).toEqual([]);
    await other.stop();
  });
});
