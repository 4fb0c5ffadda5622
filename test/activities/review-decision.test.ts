import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findMergeRequest, upsertMergeRequest } from '../../src/database/merge-requests.ts';
import { untrackRepository } from '../../src/database/tracked-repositories.ts';
import { GitlabInvalidCredentials, GitlabUnavailable } from '../../src/gitlab/errors.ts';
import { type GitlabJobs, startGitlabJobs } from '../support/gitlab-jobs.ts';
import type { MergeRequest, Project, StatusWord, User } from '../support/gitlab/index.ts';
import { mergeRequestIn } from '../database/merge-request-rows.ts';

let jobs: GitlabJobs;
let project: Project;
let repositoryId: number;
let users: User[];
let count = 0;
beforeAll(async () => {
  jobs = await startGitlabJobs();
  users = ['bob', 'eve', 'kim'].map((username) => jobs.gitlab.addUser({ username }));
});
afterAll(() => jobs.stop());
beforeEach(async () => {
  jobs.gitlab.faults.clear();
  jobs.gitlab.rateLimit.allow();
  await jobs.restart();
  jobs.gitlab.settings.premium = false;
  ({ project, id: repositoryId } = await jobs.addTracked(`kiln-${++count}`));
  await jobs.requested();
  jobs.gitlab.forgetRequests();
});

/** A merge request of GitLab's, as an event would tell of it. @returns our id of it, too */
async function known(mergeRequest: MergeRequest): Promise<number> {
  const { id: gitlabId, iid, sourceBranch, targetBranch, title, headSha, updatedAt, state } = mergeRequest;
  const sourceGitlabProjectId = mergeRequest.source?.id ?? null;
  const told = { gitlabId, iid, sourceBranch, targetBranch, title, headSha, updatedAt, state, sourceGitlabProjectId };
  const kept = await upsertMergeRequest(jobs.db, mergeRequestIn(mergeRequest.project.id, told));
  return kept!.id;
}

async function opened(given: Partial<Parameters<GitlabJobs['gitlab']['openMergeRequest']>[1]> = {}) {
  const mergeRequest = await jobs.gitlab.openMergeRequest(project, { sourceBranch: `hotter-${++count}`, ...given });
  return { mergeRequest, id: await known(mergeRequest) };
}

/** Runs the job. @returns what stands then: decision and rollup */
async function decided(id: number): Promise<[string | null, string | null]> {
  await jobs.decide(id);
  const { decision } = (await findMergeRequest(jobs.db, id))!;
  return [decision.review, decision.statuses];
}

const pipelineOf = async (mergeRequest: MergeRequest, ...given: [string, StatusWord][]) =>
  jobs.gitlab.runPipeline(mergeRequest.source!, {
    mergeRequest,
    jobs: given.map(([name, status]) => ({ name, status })),
  });

describe('the decision of reviews', () => {
  test('J8: goes through its states as reviewers come to theirs', async () => {
    const { gitlab } = jobs;
    const [bob, eve] = users as [User, User];
    const { mergeRequest, id } = await opened({ reviewers: [bob, eve] });
    const review = async () => (await decided(id))[0];
    expect(await review()).toBe('review_required');
    await gitlab.comment(mergeRequest, bob, 'Hm.', { review: true });
    expect(await review()).toBe('review_required');
    await gitlab.approve(mergeRequest, bob);
    expect(await review()).toBe('approved');
    await gitlab.requestChanges(mergeRequest, eve);
    expect(await review()).toBe('changes_requested');
    await gitlab.approve(mergeRequest, eve);
    expect(await review()).toBe('approved');
    await gitlab.unapprove(mergeRequest, bob);
    await gitlab.unapprove(mergeRequest, eve);
    expect(await review()).toBe('review_required');
  });

  test.each<[string, { own: number | null; premium?: boolean; theirs?: number }, (string | null)[]]>([
    ["the repository's", { own: 2 }, ['review_required', 'review_required', 'approved']],
    [
      "the repository's over GitLab's",
      { own: 1, premium: true, theirs: 2 },
      ['review_required', 'approved', 'approved'],
    ],
    ["GitLab's", { own: null, premium: true, theirs: 2 }, ['review_required', 'review_required', 'approved']],
    ['one, where nobody says', { own: null }, ['review_required', 'approved', 'approved']],
    ['none, where the repository says so', { own: 0 }, [null, 'approved', 'approved']],
    ['none, where GitLab says so', { own: null, premium: true, theirs: 0 }, [null, 'approved', 'approved']],
  ])('J8: the number of approvals is %s', async (_, { own, premium = false, theirs = 0 }, expected) => {
    const { gitlab } = jobs;
    ({ project } = await jobs.addTracked(`asking-${++count}`, { requiredApprovals: own }));
    gitlab.settings.premium = premium;
    gitlab.changeProject(project, { approvalsRequired: theirs });
    const { mergeRequest, id } = await opened();
    const found = [(await decided(id))[0]];
    for (const user of users.slice(0, 2)) {
      await gitlab.approve(mergeRequest, user);
      found.push((await decided(id))[0]);
    }
    expect(found).toEqual(expected);
  });

  test('J8: approvals that a push takes back are gone', async () => {
    const { gitlab } = jobs;
    gitlab.changeProject(project, { resetApprovalsOnPush: true });
    const { mergeRequest, id } = await opened({ reviewers: [users[0]!] });
    await gitlab.approve(mergeRequest, users[0]!);
    expect(await decided(id)).toEqual(['approved', null]);
    await gitlab.push(project, { branch: mergeRequest.sourceBranch });
    expect(await decided(id)).toEqual(['review_required', null]);
  });
});

describe('the rollup of statuses', () => {
  test('J9: a failure that a later run has made good is forgotten', async () => {
    const { gitlab } = jobs;
    const { mergeRequest, id } = await opened();
    const pipeline = await pipelineOf(mergeRequest, ['bake', 'failed'], ['lint', 'success']);
    expect((await decided(id))[1]).toBe('failure');
    const again = await gitlab.retryJob(pipeline.jobs[0]!);
    expect((await decided(id))[1]).toBe('pending');
    await gitlab.setJob(again, 'success');
    expect((await decided(id))[1]).toBe('success');
    // In another pipeline of the same commit, too, where GitLab goes on showing the old one.
    await pipelineOf(mergeRequest, ['bake', 'failed']);
    expect((await decided(id))[1]).toBe('failure');
    await pipelineOf(mergeRequest, ['bake', 'success']);
    expect((await decided(id))[1]).toBe('success');
    const report = { sha: mergeRequest.headSha!, name: 'coverage' };
    await gitlab.reportStatus(project, { ...report, status: 'failed' });
    expect((await decided(id))[1]).toBe('failure');
    await gitlab.reportStatus(project, { ...report, status: 'success' });
    expect((await decided(id))[1]).toBe('success');
  });

  test('J9: the statuses of the old head say nothing of the new one', async () => {
    const { gitlab } = jobs;
    const { mergeRequest, id } = await opened();
    await pipelineOf(mergeRequest, ['bake', 'failed']);
    expect((await decided(id))[1]).toBe('failure');
    await gitlab.push(project, { branch: mergeRequest.sourceBranch });
    expect((await decided(id))[1]).toBeNull();
    expect((await findMergeRequest(jobs.db, id))!.decision.headSha).toBe(mergeRequest.headSha);
  });

  test('J9: those of a fork count, and a fork that is hidden, or gone, or without pipelines is no failure', async () => {
    const { gitlab } = jobs;
    const fork = gitlab.addProject({ path: `fork-${count}`, forkedFrom: project });
    const { mergeRequest, id } = await opened({ source: fork });
    await pipelineOf(mergeRequest, ['bake', 'failed']);
    expect((await decided(id))[1]).toBe('failure');
    await gitlab.reportStatus(project, { sha: mergeRequest.headSha!, name: 'bake', status: 'success' });
    expect((await decided(id))[1]).toBe('success');
    await gitlab.reportStatus(fork, { sha: mergeRequest.headSha!, name: 'lint', status: 'failed' });
    expect((await decided(id))[1]).toBe('failure');
    gitlab.changeProject(fork, { pipelinesEnabled: false });
    expect(await jobs.decide(id)).toMatchObject({ statusRollup: 'success', projectsWithHiddenPipelines: 1 });
    gitlab.deleteProject(fork);
    expect(await jobs.decide(id)).toMatchObject({ statusRollup: 'success', statuses: 1 });
    expect((await findMergeRequest(jobs.db, id))!.sourceGitlabProjectId).toBeNull();
  });

  test('J9: those of the commit that tries the merge count as those of the head', async () => {
    const { gitlab } = jobs;
    const { mergeRequest, id } = await opened();
    const given = { mergeRequest, merged: true, sha: 'e'.repeat(40) };
    await gitlab.runPipeline(project, { ...given, jobs: [{ name: 'bake', status: 'failed' }] });
    expect((await decided(id))[1]).toBe('failure');
  });

  test('J8, J9: whatever happens, it is what people see in GitLab', async () => {
    const { gitlab } = jobs;
    const { mergeRequest, id } = await opened({ reviewers: users });
    const pipeline = await pipelineOf(mergeRequest, ['a', 'running'], ['b', 'running']);
    const word = fc.constantFrom<StatusWord[]>('success', 'failed', 'running', 'canceled');
    const deeds = fc.array(
      fc.oneof(
        fc.record({ by: fc.nat(2), does: fc.constantFrom('approve', 'unapprove', 'requestChanges', 'comment') }),
        fc.record({ job: fc.nat(1), becomes: word, retried: fc.boolean() }),
      ),
      { maxLength: 6 },
    );
    const opinions = new Map<User, string>();
    const words = new Map<string, StatusWord>([
      ['a', 'running'],
      ['b', 'running'],
    ]);
    await fc.assert(
      fc.asyncProperty(deeds, async (done) => {
        for (const deed of done) {
          if ('does' in deed) {
            const user = users[deed.by]!;
            if (deed.does === 'unapprove' && opinions.get(user) !== 'approve') continue;
            if (deed.does === 'comment') {
              await gitlab.comment(mergeRequest, user, 'Hm.');
              continue;
            }
            await gitlab[deed.does as 'approve'](mergeRequest, user);
            // In GitLab an approval does not undo what another reviewer asked for, nor does taking it back.
            opinions.set(user, deed.does);
          } else {
            const name = ['a', 'b'][deed.job]!;
            const latest = pipeline.jobs.findLast((job) => job.name === name)!;
            if (deed.retried) await gitlab.retryJob(latest, deed.becomes);
            else await gitlab.setJob(latest, deed.becomes);
            words.set(name, deed.becomes);
          }
        }
        const said = [...opinions.values()];
        const review = said.includes('requestChanges')
          ? 'changes_requested'
          : said.includes('approve')
            ? 'approved'
            : 'review_required';
        const worst = (['canceled', 'failed', 'running', 'success'] as const).find((one) =>
          [...words.values()].includes(one),
        );
        const rollup = { canceled: 'error', failed: 'failure', running: 'pending', success: 'success' }[worst!];
        expect(await decided(id)).toEqual([review, rollup]);
      }),
      { numRuns: 25 },
    );
  });
});

describe('the job', () => {
  test('does nothing for a merge request that is unknown, over, or not ours any more', async () => {
    const { gitlab } = jobs;
    const { mergeRequest, id } = await opened();
    gitlab.forgetRequests();
    expect(await jobs.decide(2_000_000_000)).toEqual({ summary: 'there is no such merge request' });
    await gitlab.mergeMergeRequest(mergeRequest);
    await known(mergeRequest);
    expect(await jobs.decide(id)).toEqual({ summary: 'nothing to decide: it is merged' });
    await untrackRepository(jobs.db, repositoryId);
    expect(await jobs.decide(id)).toEqual({ summary: 'there is no such merge request' });
    expect(gitlab.requests).toEqual([]);
  });

  test('costs four requests', async () => {
    const { gitlab } = jobs;
    const { id } = await opened();
    gitlab.forgetRequests();
    const { summary } = (await jobs.decide(id)) as { summary: string };
    expect(summary).toBe('reviews: review_required, statuses: none');
    expect(gitlab.requests.map(({ path }) => path.replace(/^.*?\d+\//, '').replace(/[0-9a-f]{40}|\?.*/g, ''))).toEqual([
      'merge_requests/1',
      'merge_requests/1/approvals',
      'merge_requests/1/reviewers',
      'repository/commits//statuses',
    ]);
    expect(gitlab.unknownParameters).toEqual([]);
  });

  test('J7: sees for itself that the head was pushed, or that it was merged, when no event has said so', async () => {
    const { gitlab } = jobs;
    const { mergeRequest, id } = await opened();
    await gitlab.push(project, { branch: mergeRequest.sourceBranch });
    await jobs.decide(id);
    expect(await findMergeRequest(jobs.db, id)).toMatchObject({ headSha: mergeRequest.headSha, revision: 1 });
    expect(await jobs.requested()).toEqual([`recompute_mergeability/${id}`]);
    await gitlab.mergeMergeRequest(mergeRequest);
    expect(await jobs.decide(id)).toEqual({ summary: 'nothing to decide: it is merged' });
    expect(await findMergeRequest(jobs.db, id)).toMatchObject({ state: 'merged' });
    expect(await jobs.requested()).toEqual([]);
  });

  test('J7: writes nothing when the head was pushed while it asked: the push has asked for another run', async () => {
    const { gitlab } = jobs;
    const { mergeRequest, id } = await opened();
    const pushed = { path: /statuses/, times: 1 };
    gitlab.faults.add({
      ...pushed,
      fault: {
        when: 'before',
        async do() {
          await gitlab.push(project, { branch: mergeRequest.sourceBranch });
          await known(mergeRequest);
        },
      },
    });
    expect(await jobs.decide(id)).toEqual({ summary: 'outdated: its head was pushed meanwhile' });
    expect((await findMergeRequest(jobs.db, id))!.decision.at).toBeNull();
  });

  test('takes one that GitLab has no more for closed', async () => {
    const { mergeRequest, id } = await opened();
    jobs.gitlab.deleteMergeRequest(mergeRequest);
    expect(await jobs.decide(id)).toEqual({ summary: 'GitLab has it no more', gone: true });
    expect(await findMergeRequest(jobs.db, id)).toMatchObject({ state: 'closed' });
  });

  test('is put off at the rate limit, whichever request it meets it with, and goes on then', async () => {
    const { gitlab } = jobs;
    const { id } = await opened();
    for (let at = 1; at <= 4; at++) {
      gitlab.rateLimit.refuse({ at, forSeconds: 60 });
      const outcome = (await jobs.decide(id)) as { postponedUntil: string; reason: string };
      expect(outcome.reason).toBe("GitLab's rate limit is used up");
      const wait = Date.parse(outcome.postponedUntil) - Date.now();
      expect(wait).toBeGreaterThan(50_000);
      expect(wait).toBeLessThan(62_000);
      gitlab.rateLimit.allow();
      await jobs.restart();
    }
    expect(await decided(id)).toEqual(['review_required', null]);
  });

  test('is put off before GitLab has to refuse, and when GitLab does not say for how long', async () => {
    const { gitlab } = jobs;
    const { id } = await opened();
    gitlab.rateLimit.refuse({ bare: true });
    const bare = (await jobs.decide(id)) as { postponedUntil: string };
    expect(Math.round((Date.parse(bare.postponedUntil) - Date.now()) / 10_000)).toBe(6);
    gitlab.rateLimit.allow();
    gitlab.rateLimit.set({ limit: 20 });
    const refused = gitlab.rateLimit.refused;
    const outcomes: object[] = [];
    for (let n = 0; n < 6; n++) outcomes.push(await jobs.decide(id));
    expect(outcomes.filter((outcome) => 'postponedUntil' in outcome).length).toBeGreaterThan(1);
    expect(gitlab.rateLimit.refused).toBe(refused);
  });

  test('fails with a clear sentence when GitLab does not take the token, is away, or a setting is missing', async () => {
    const { gitlab } = jobs;
    const { id } = await opened();
    gitlab.faults.add({ fault: { status: 401, body: { message: '401 Unauthorized' } } });
    await expect(jobs.decide(id)).rejects.toThrow(
      new GitlabInvalidCredentials('GitLab does not accept the token: 401 Unauthorized'),
    );
    gitlab.faults.clear();
    gitlab.faults.add({ path: /reviewers/, fault: { status: 503 } });
    await expect(jobs.decide(id)).rejects.toThrow(GitlabUnavailable);
    expect((await findMergeRequest(jobs.db, id))!.decision.at).toBeNull();
  });

  test('needs no INGRESS_URL; without GITLAB_TOKEN it fails for good', async () => {
    const lacking = await startGitlabJobs({ variables: { GITLAB_TOKEN: undefined } });
    try {
      const { project } = await lacking.addTracked('kiln');
      const { id } = (await upsertMergeRequest(lacking.db, mergeRequestIn(project.id)))!;
      const failure: unknown = await lacking.decide(id).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(ApplicationFailure);
      expect(failure).toMatchObject({ type: 'SettingMissing', nonRetryable: true });
      expect((failure as Error).message).toContain('GITLAB_TOKEN');
    } finally {
      await lacking.stop();
    }
  });

  test('stops at once when nobody waits for it any more', async () => {
    const { gitlab } = jobs;
    const { id } = await opened();
    const controller = new AbortController();
    gitlab.faults.add({
      path: /approvals/,
      fault: {
        when: 'before',
        do: () => {
          controller.abort(new Error('stopped'));
        },
      },
    });
    await expect(jobs.decide(id, { signal: controller.signal })).rejects.toThrow('stopped');
  });
});
