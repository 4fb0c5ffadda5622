import { expect, test } from 'vitest';
import { GitlabBadAnswer, GitlabForbidden, GitlabNotFound, GitlabRateLimited } from '../../src/gitlab/errors.ts';
import type { MergeRequestReference } from '../../src/gitlab/merge-requests.ts';
import type { MergeRequest } from '../support/gitlab/index.ts';
import { withGitlab } from './with-gitlab.ts';

const now = withGitlab();
const reference = ({ project, iid }: MergeRequest): MergeRequestReference => ({ gitlabProjectId: project.id, iid });

test('J6: a merge request by itself', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const fork = gitlab.addProject({ path: 'kiln-of-ada', forkedFrom: project });
  const bob = gitlab.addUser({ username: 'bob' });
  const given = { source: fork, sourceBranch: 'hotter', title: 'Hotter', draft: true, reviewers: [bob] };
  const made = await gitlab.openMergeRequest(project, given);
  expect(await client.mergeRequest(reference(made))).toEqual({
    mergeRequest: {
      gitlabId: made.id,
      iid: 1,
      gitlabProjectId: project.id,
      title: 'Draft: Hotter',
      sourceBranch: 'hotter',
      targetBranch: 'main',
      sourceGitlabProjectId: fork.id,
      headSha: made.headSha,
      isDraft: true,
      state: 'opened',
      reviewers: [bob.id],
      updatedAt: made.updatedAt,
    },
    mergedResultSha: null,
  });
  gitlab.deleteMergeRequest(made);
  await expect(client.mergeRequest(reference(made))).rejects.toThrow(GitlabNotFound);
});

test('J9: the commit that tries a merge is known where a pipeline ran on it', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const mergeRequest = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter' });
  const jobs = [{ name: 'test', status: 'success' }] as const;
  await gitlab.runPipeline(project, { mergeRequest, jobs });
  expect(await client.mergeRequest(reference(mergeRequest))).toMatchObject({ mergedResultSha: null });
  const sha = 'c'.repeat(40);
  await gitlab.runPipeline(project, { mergeRequest, merged: true, sha, jobs });
  expect(await client.mergeRequest(reference(mergeRequest))).toMatchObject({ mergedResultSha: sha });
});

test.each([0, 1, 100, 101, 250])('J6: the open ones of a project, of which there are %i', async (count) => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const open: MergeRequest[] = [];
  for (let n = 1; n <= count; n++)
    open.push(await gitlab.openMergeRequest(project, { sourceBranch: `branch-${n}`, draft: n % 2 === 0 }));
  await gitlab.closeMergeRequest(await gitlab.openMergeRequest(project, { sourceBranch: 'closed' }));
  await gitlab.mergeMergeRequest(await gitlab.openMergeRequest(project, { sourceBranch: 'merged' }));
  gitlab.forgetRequests();
  const { mergeRequests, unreadable } = await client.openMergeRequests(project.id);
  expect(mergeRequests.map(({ iid, headSha, isDraft }) => [iid, headSha, isDraft])).toEqual(
    open.map(({ iid, headSha }) => [iid, headSha, iid % 2 === 0]),
  );
  expect(unreadable).toEqual([]);
  expect(gitlab.requests).toHaveLength(Math.max(1, Math.ceil(count / 100)));
  expect(gitlab.unknownParameters).toEqual([]);
});

test('J6: one that cannot be read does not hide the others', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  for (const sourceBranch of ['good', 'b a d', 'fine']) await gitlab.openMergeRequest(project, { sourceBranch });
  const { mergeRequests, unreadable } = await client.openMergeRequests(project.id);
  expect(mergeRequests.map(({ sourceBranch }) => sourceBranch)).toEqual(['good', 'fine']);
  expect(unreadable).toEqual(["source_branch: it is not a branch's name"]);
  await expect(client.mergeRequest({ gitlabProjectId: project.id, iid: 2 })).rejects.toThrow(
    new GitlabBadAnswer("GitLab's answer is not a merge request: source_branch: it is not a branch's name"),
  );
});

test('J8: what stands of its reviews, in both editions', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  gitlab.changeProject(project, { approvalsRequired: 2 });
  const [ada, bob, eve] = ['ada', 'bob', 'eve'].map((username) => gitlab.addUser({ username }));
  const mergeRequest = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter', reviewers: [bob!, eve!] });
  const reviews = async () => client.reviews(reference(mergeRequest));
  expect(await reviews()).toEqual({
    reviews: [
      { reviewer: bob!.id, verdict: 'pending', at: 0 },
      { reviewer: eve!.id, verdict: 'pending', at: 0 },
    ],
    reviewersAsked: true,
    approvalsRequired: 2,
  });
  await gitlab.approve(mergeRequest, ada!);
  await gitlab.approve(mergeRequest, bob!);
  await gitlab.requestChanges(mergeRequest, eve!);
  gitlab.settings.premium = false;
  expect(await reviews()).toEqual({
    reviews: [
      { reviewer: ada!.id, verdict: 'approved', at: 0 },
      { reviewer: bob!.id, verdict: 'approved', at: 0 },
      { reviewer: eve!.id, verdict: 'changes_requested', at: 0 },
    ],
    reviewersAsked: true,
    approvalsRequired: null,
  });
  await gitlab.unapprove(mergeRequest, bob!);
  await gitlab.comment(mergeRequest, eve!, 'Better.', { review: true });
  expect((await reviews()).reviews).toEqual([
    { reviewer: ada!.id, verdict: 'approved', at: 0 },
    { reviewer: bob!.id, verdict: 'dismissed', at: 0 },
    { reviewer: eve!.id, verdict: 'commented', at: 0 },
  ]);
});

test('J8: of 150 reviewers each is heard, though GitLab shows 20 at once where nobody asks for more', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const reviewers = Array.from({ length: 150 }, (_, n) => gitlab.addUser({ username: `user-${n}` }));
  const mergeRequest = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter', reviewers });
  await gitlab.requestChanges(mergeRequest, reviewers[149]!);
  const { reviews } = await client.reviews(reference(mergeRequest));
  expect(reviews).toHaveLength(150);
  expect(reviews[149]).toMatchObject({ verdict: 'changes_requested' });
});

test('J9: the statuses of a commit, the last of each name in each pipeline', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const mergeRequest = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter' });
  const sha = mergeRequest.headSha!;
  const { jobs } = await gitlab.runPipeline(project, {
    mergeRequest,
    jobs: [
      { name: 'bake', status: 'failed' },
      { name: 'lint', status: 'failed', allowFailure: true },
      ...Array.from({ length: 120 }, (_, n) => ({ name: `fire-${n}`, status: 'success' as const })),
    ],
  });
  const again = await gitlab.retryJob(jobs[0]!, 'running');
  const reported = await gitlab.reportStatus(project, { sha, name: 'coverage', status: 'failed' });
  const later = await gitlab.reportStatus(project, { sha, name: 'coverage', status: 'success' });
  expect(reported.id).toBeLessThan(later.id);
  const statuses = await client.commitStatuses({ gitlabProjectId: project.id, sha });
  expect(statuses).toHaveLength(123);
  expect(statuses.filter(({ context }) => !context.startsWith('fire-'))).toEqual([
    { context: 'lint', state: 'success', order: jobs[1]!.id },
    { context: 'bake', state: 'pending', order: again.id },
    { context: 'coverage', state: 'success', order: later.id },
  ]);
  expect(gitlab.unknownParameters).toEqual([]);
});

test('J9: a commit that is not there is not found, and one without statuses has none', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const { headSha } = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter' });
  expect(await client.commitStatuses({ gitlabProjectId: project.id, sha: headSha! })).toEqual([]);
  const missing = client.commitStatuses({ gitlabProjectId: project.id, sha: 'd'.repeat(40) });
  await expect(missing).rejects.toThrow(GitlabNotFound);
  gitlab.changeProject(project, { pipelinesEnabled: false });
  const hidden = client.commitStatuses({ gitlabProjectId: project.id, sha: headSha! });
  await expect(hidden).rejects.toThrow(GitlabForbidden);
});

test('what there is to know of a project', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln', defaultBranch: 'trunk' });
  const plain = { gitlabId: project.id, path: 'acme/kiln', isArchived: false, hasMergeRequests: true };
  expect(await client.projectDetails(project.id)).toEqual({ ...plain, defaultBranch: 'trunk' });
  gitlab.changeProject(project, { archived: true, empty: true, mergeRequestsEnabled: false });
  expect(await client.projectDetails('acme/kiln')).toEqual({
    ...plain,
    defaultBranch: null,
    isArchived: true,
    hasMergeRequests: false,
  });
  await expect(client.openMergeRequests(project.id)).rejects.toThrow(GitlabForbidden);
});

test('none of it is tried twice', async () => {
  const { gitlab, client } = now;
  const project = gitlab.addProject({ path: 'kiln' });
  const mergeRequest = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter' });
  const sha = mergeRequest.headSha!;
  const calls: (() => Promise<unknown>)[] = [
    () => client.projectDetails(project.id),
    () => client.openMergeRequests(project.id),
    () => client.mergeRequest(reference(mergeRequest)),
    () => client.reviews(reference(mergeRequest)),
    () => client.commitStatuses({ gitlabProjectId: project.id, sha }),
  ];
  gitlab.rateLimit.refuse();
  for (const call of calls) {
    gitlab.forgetRequests();
    const failure = await call().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(GitlabRateLimited);
    expect(failure).toMatchObject({ scope: 'api' });
    expect(gitlab.requests).toHaveLength(1);
  }
  gitlab.rateLimit.allow();
  for (const fault of [{ status: 502 }, 'reset', 'truncated'] as const) {
    for (const call of calls) {
      gitlab.forgetRequests();
      gitlab.faults.add({ fault });
      await expect(call()).rejects.toThrow();
      expect(gitlab.requests).toHaveLength(1);
      gitlab.faults.clear();
    }
  }
});
