import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findMergeRequest, listMergeRequests, upsertMergeRequest } from '../../src/database/merge-requests.ts';
import { writeDecision, writeMergeability } from '../../src/database/merge-request-results.ts';
import { findTracked, untrackRepository } from '../../src/database/tracked-repositories.ts';
import { type GitlabJobs, startGitlabJobs } from '../support/gitlab-jobs.ts';
import type { MergeRequest, Project } from '../support/gitlab/index.ts';
import { mergeRequestIn } from '../database/merge-request-rows.ts';

let jobs: GitlabJobs;
let project: Project;
let repositoryId: number;
let count = 0;
beforeAll(async () => {
  jobs = await startGitlabJobs();
});
afterAll(() => jobs.stop());
beforeEach(async () => {
  jobs.gitlab.faults.clear();
  jobs.gitlab.rateLimit.allow();
  await jobs.restart();
  ({ project, id: repositoryId } = await jobs.addTracked(`kiln-${++count}`));
  jobs.gitlab.forgetRequests();
});

async function openMany(n: number): Promise<MergeRequest[]> {
  const made: MergeRequest[] = [];
  for (let i = 0; i < n; i++)
    made.push(await jobs.gitlab.openMergeRequest(project, { sourceBranch: `branch-${++count}` }));
  return made;
}

const all = async () => listMergeRequests(jobs.db, { repositoryId });
/** As `iid state`, by number. */
const states = async () => (await all()).map(({ iid, state }) => `${iid} ${state}`).reverse();

/** As if the jobs of each had run. */
async function computeAll(): Promise<void> {
  const at = new Date();
  const nothing = {
    ahead: 0,
    behind: 0,
    changedFiles: 0,
    additions: 0,
    deletions: 0,
    headSha: null,
    baseSha: null,
    at,
  };
  for (const one of await all()) {
    await writeMergeability(jobs.db, one, { state: 'clean', mergeable: true, rebaseable: true, ...nothing });
    await writeDecision(jobs.db, one, { review: null, statuses: null, at });
  }
  await jobs.requested();
}

describe('J6: what is known of a repository', () => {
  test('at first is nothing: all its open merge requests come, and the jobs of each are asked for', async () => {
    const { gitlab } = jobs;
    const [first, second, third] = await openMany(3);
    await gitlab.closeMergeRequest(second!);
    gitlab.forgetRequests();
    expect(await jobs.sync(repositoryId)).toEqual({
      summary: '2 open: 2 new, 0 changed; 0 not open any more',
      open: 2,
      added: 2,
      changed: 0,
      closed: 0,
      unreadable: 0,
    });
    expect(gitlab.requests).toHaveLength(2);
    expect(gitlab.unknownParameters).toEqual([]);
    const [newer, older] = await all();
    expect([older, newer]).toMatchObject([
      { gitlabId: first!.id, headSha: first!.headSha, sourceBranch: first!.sourceBranch },
      { gitlabId: third!.id },
    ]);
    expect(await jobs.requested()).toEqual([
      `reindex_search/${repositoryId}`,
      `recompute_mergeability/${older!.id}`,
      `recompute_review_decision/${older!.id}`,
      `recompute_mergeability/${newer!.id}`,
      `recompute_review_decision/${newer!.id}`,
    ]);
    expect(await findTracked(jobs.db, repositoryId)).toMatchObject({ defaultBranch: 'main', path: project.path });
  });

  test('again, changes nothing and asks for nothing but what was never computed', async () => {
    await openMany(2);
    await jobs.sync(repositoryId);
    const before = await all();
    await jobs.requested();
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 2, added: 0, changed: 0, closed: 0 });
    expect(await jobs.requested()).toHaveLength(4);
    expect(await all()).toEqual(before);
    await computeAll();
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 2, added: 0, changed: 0, closed: 0 });
    expect(await jobs.requested()).toEqual([]);
  });

  test('is brought to what GitLab says where events were missed', async () => {
    const { gitlab } = jobs;
    const [pushed, draft, closed, merged, deleted, reopened, still] = await openMany(7);
    await gitlab.closeMergeRequest(reopened!);
    await jobs.sync(repositoryId);
    await computeAll();
    await gitlab.push(project, { branch: pushed!.sourceBranch });
    await gitlab.editMergeRequest(draft!, { draft: true });
    await gitlab.closeMergeRequest(closed!);
    await gitlab.mergeMergeRequest(merged!);
    gitlab.deleteMergeRequest(deleted!);
    await gitlab.reopenMergeRequest(reopened!);
    gitlab.forgetRequests();
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 4, added: 1, changed: 2, closed: 3, unreadable: 0 });
    expect(gitlab.requests).toHaveLength(5);
    expect(await states()).toEqual([
      '1 opened',
      '2 opened',
      '3 closed',
      '4 merged',
      '5 closed',
      '6 opened',
      '7 opened',
    ]);
    const requested = await jobs.requested();
    const ids = (await all()).filter(({ iid }) => [1, 2, 6].includes(iid)).map(({ id }) => id);
    expect(requested.sort()).toEqual(
      ids.flatMap((id) => [`recompute_mergeability/${id}`, `recompute_review_decision/${id}`]).sort(),
    );
    const untouched = (await all()).find(({ gitlabId }) => gitlabId === still!.id);
    expect(untouched).toMatchObject({ revision: 0, mergeability: { state: 'clean' } });
  });

  test('is not taken back by a list that was read before an event came', async () => {
    const { gitlab } = jobs;
    const [first] = await openMany(1);
    await jobs.sync(repositoryId);
    // While GitLab is asked for the list, one is opened and another is closed, and the events arrive first.
    gitlab.faults.add({
      path: /merge_requests\?/,
      times: 1,
      fault: {
        when: 'after',
        async do() {
          gitlab.clock.advance(2_000);
          await gitlab.closeMergeRequest(first!);
          const [opened] = await openMany(1);
          for (const { id: gitlabId, iid, updatedAt, state } of [first!, opened!])
            await upsertMergeRequest(jobs.db, mergeRequestIn(project.id, { gitlabId, iid, updatedAt, state }));
        },
      },
    });
    await jobs.sync(repositoryId);
    expect(await states()).toEqual(['1 closed', '2 opened']);
  });

  test('keeps one that a shifting list has passed over', async () => {
    const { gitlab } = jobs;
    const made = await openMany(101);
    await jobs.sync(repositoryId);
    gitlab.faults.add({
      path: /merge_requests\?.*page=1/,
      times: 1,
      fault: { when: 'after', do: () => gitlab.closeMergeRequest(made[0]!) },
    });
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 100 });
    expect((await states()).at(-1)).toBe('101 opened');
  });

  test('leaves out one that cannot be read, and says so', async () => {
    const { gitlab } = jobs;
    await openMany(1);
    await gitlab.openMergeRequest(project, { sourceBranch: 'b a d' });
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 1, added: 1, unreadable: 1 });
  });

  test('has no open merge request where they were switched off', async () => {
    const { gitlab } = jobs;
    await openMany(2);
    await jobs.sync(repositoryId);
    gitlab.changeProject(project, { mergeRequestsEnabled: false });
    gitlab.forgetRequests();
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 0, closed: 2 });
    expect(gitlab.requests).toHaveLength(1);
    gitlab.changeProject(project, { mergeRequestsEnabled: true });
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 2, changed: 2 });
  });

  test('follows the repository when it moves, and its default branch', async () => {
    const { gitlab } = jobs;
    await jobs.sync(repositoryId);
    await jobs.requested();
    gitlab.moveProject(project, `acme/oven-${count}`);
    gitlab.changeProject(project, { defaultBranch: 'trunk' });
    await jobs.sync(repositoryId);
    const place = { path: `acme/oven-${count}`, defaultBranch: 'trunk', headSha: null };
    expect(await findTracked(jobs.db, repositoryId)).toMatchObject(place);
    expect(await jobs.requested()).toEqual([`reindex_search/${repositoryId}`]);
    gitlab.changeProject(project, { empty: true });
    await jobs.sync(repositoryId);
    expect(await findTracked(jobs.db, repositoryId)).toMatchObject({ defaultBranch: null });
  });
});

describe('the job', () => {
  test('cannot be done for a repository that is not tracked, or that GitLab has no more', async () => {
    const impossible = async (id: number) => {
      const failure: unknown = await jobs.sync(id).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ApplicationFailure);
      expect(failure).toMatchObject({ type: 'JobImpossible', nonRetryable: true });
      return (failure as Error).message;
    };
    expect(await impossible(2_000_000_000)).toBe('there is no tracked repository 2000000000');
    jobs.gitlab.deleteProject(project);
    expect(await impossible(repositoryId)).toBe(
      `GitLab has no repository ${project.path}, or hides it from the token's account`,
    );
    await untrackRepository(jobs.db, repositoryId);
    expect(await impossible(repositoryId)).toBe(`there is no tracked repository ${repositoryId}`);
  });

  test('is put off at the rate limit, keeps what it has, and goes on then', async () => {
    const { gitlab } = jobs;
    const made = await openMany(3);
    await jobs.sync(repositoryId);
    for (const one of made.slice(0, 2)) await gitlab.mergeMergeRequest(one);
    gitlab.rateLimit.refuse({ at: 4, forSeconds: 60 });
    const outcome = await jobs.sync(repositoryId);
    expect(Object.keys(outcome)).toEqual(['postponedUntil', 'reason']);
    expect(await states()).toEqual(['1 opened', '2 merged', '3 opened']);
    gitlab.rateLimit.allow();
    await jobs.restart();
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 1, closed: 1 });
    expect(await states()).toEqual(['1 merged', '2 merged', '3 opened']);
  });

  test('done by two at once, and stopped in the middle, comes to the same', async () => {
    const made = await openMany(30);
    const controller = new AbortController();
    const [one, two] = [jobs.sync(repositoryId), jobs.sync(repositoryId, { signal: controller.signal })];
    controller.abort(new Error('stopped'));
    await expect(two).rejects.toThrow('stopped');
    await Promise.all([one, jobs.sync(repositoryId), jobs.sync(repositoryId)]);
    expect(await states()).toEqual(made.map(({ iid }) => `${iid} opened`));
    expect(new Set((await all()).map(({ revision }) => revision))).toEqual(new Set([0]));
  });

  test('300 merge requests take a moment', async () => {
    await openMany(300);
    expect(await jobs.sync(repositoryId)).toMatchObject({ open: 300, added: 300 });
    const record = (await all())[0]!;
    expect(await findMergeRequest(jobs.db, record.id)).toEqual(record);
  }, 20_000);
});
