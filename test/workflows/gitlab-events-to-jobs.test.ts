import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RepositoryWithMergeRequests } from '../../src/client/repositories.ts';
import { eventually } from '../support/eventually.ts';
import { TEST_ENVIRONMENT, type TestRepository } from '../support/git-repository.ts';
import type { MergeRequest, Project, User } from '../support/gitlab/index.ts';
import { historyText } from '../support/history.ts';
import { type MergeEnvironment, startMergeEnvironment, untilQuiet } from '../support/merge-environment.ts';

let environment: MergeEnvironment;
let project: Project;
/** GitLab's own. */
let repository: TestRepository;
let reviewer: User;
/** What a developer has on their own machine. */
let desk: Awaited<ReturnType<typeof developer>>;
beforeAll(async () => {
  environment = await startMergeEnvironment();
  ({ project, repository } = await environment.serve('shop'));
  const { gitlab, forgeflow } = environment;
  reviewer = gitlab.addUser({ username: 'reviewer' });
  desk = await developer();
  await forgeflow.repositories.add(project.path);
  await forgeflow.installWebhooks({ repository: project.path });
  await untilQuiet(environment);
});
afterAll(() => environment.stop());

/** A work tree, and `git push` by HTTP; GitLab tells its hooks of what came in. */
async function developer() {
  const place = join(environment.config.storageDirectory, 'desk');
  await mkdir(place, { recursive: true });
  const { gitlab } = environment;
  const url = new URL(`${gitlab.url}/${project.path}.git`);
  Object.assign(url, { username: 'ada', password: gitlab.token });
  const git = (...args: string[]) => execa('git', args, { cwd: place, env: TEST_ENVIRONMENT });
  await git('clone', '--quiet', url.href, '.');
  return {
    /** One commit on that branch, which begins at `main`. @returns its hash */
    async push(branch: string, file: string, content: string): Promise<string> {
      await git('fetch', '--quiet', 'origin');
      const { stdout: known } = await git('for-each-ref', `refs/remotes/origin/${branch}`);
      await git('checkout', '--quiet', '-B', branch, known === '' ? 'origin/main' : `origin/${branch}`);
      await execa('sh', ['-c', 'printf "%s" "$2" >"$1"', 'sh', file, content], { cwd: place });
      await git('add', '.');
      await git('commit', '--quiet', '--message', `change ${file}`);
      await git('push', '--quiet', 'origin', branch);
      await gitlab.push(project, { branch });
      return (await git('rev-parse', 'HEAD')).stdout;
    },
  };
}

const headOf = (branch: string) => repository.git('rev-parse', branch);
const shown = () => environment.forgeflow.repositories.show(project.path);
type Status = RepositoryWithMergeRequests['mergeRequests'][number];
/** Waits for the events of GitLab, and the jobs that they call for, to have led there. */
const becomes = ({ iid }: MergeRequest, wanted: Partial<Status>) =>
  eventually(async () => {
    const found = (await shown()).mergeRequests.find((one) => one.iid === iid);
    expect(found).toMatchObject(wanted);
  });

describe('what happens in GitLab comes by its hooks, and leads to the jobs', () => {
  let opened: MergeRequest;

  test('J6, J8, J9: a merge request is opened: mergeable, and nobody has decided anything', async () => {
    await desk.push('topic', 'b.txt', 'b\n');
    opened = await environment.gitlab.openMergeRequest(project, { sourceBranch: 'topic', reviewers: [reviewer] });
    const nothing = { reviewDecision: 'review_required', statuses: null } as const;
    await becomes(opened, { mergeState: 'clean', ahead: 1, behind: 0, changedFiles: 1, additions: 1, ...nothing });
  });

  test('J6, J10: the base is pushed: it is behind, and the code is indexed', async () => {
    const sha = await desk.push('main', 'c.txt', 'the word of the day\n');
    await becomes(opened, { mergeState: 'behind', ahead: 1, behind: 1 });
    await eventually(async () => {
      expect(await shown()).toMatchObject({ headSha: sha, index: { commit: sha, files: 3 } });
    });
  });

  test('J6: both change one file: dirty; the head is pushed over with what there is in the base: clean', async () => {
    await desk.push('topic', 'c.txt', 'another word\n');
    await becomes(opened, { mergeState: 'dirty', mergeable: false, ahead: 2, behind: 1 });
    const { gitlab } = environment;
    await gitlab.push(project, { branch: 'topic', to: await headOf('main') });
    await gitlab.commit(project, { branch: 'topic', files: { 'd.txt': 'd\n' } });
    await becomes(opened, { mergeState: 'clean', mergeable: true, rebaseable: true, ahead: 1, behind: 0 });
  });

  test('J8: a review, and one that is taken back, and changes that are asked for', async () => {
    const { gitlab } = environment;
    await gitlab.approve(opened, reviewer);
    await becomes(opened, { reviewDecision: 'approved' });
    await gitlab.unapprove(opened, reviewer);
    await becomes(opened, { reviewDecision: 'review_required' });
    await gitlab.requestChanges(opened, reviewer);
    await becomes(opened, { reviewDecision: 'changes_requested', mergeState: 'clean' });
  });

  test('J9: a pipeline that fails, and the job in it that is tried again', async () => {
    const { gitlab } = environment;
    const { jobs } = await gitlab.runPipeline(project, { ref: 'topic', jobs: [{ name: 'bake', status: 'running' }] });
    await becomes(opened, { statuses: 'pending' });
    await gitlab.setJob(jobs[0]!, 'failed');
    await becomes(opened, { statuses: 'failure' });
    await gitlab.retryJob(jobs[0]!, 'success');
    await becomes(opened, { statuses: 'success' });
  });

  test('J6, J9: its head is pushed: what was said of the one before does not count', async () => {
    await desk.push('topic', 'e.txt', 'e\n');
    await becomes(opened, { mergeState: 'clean', ahead: 2, statuses: null, reviewDecision: 'changes_requested' });
  });

  test('J6: it becomes a draft, gets another base, loses its branch, and has it again', async () => {
    const { gitlab } = environment;
    await gitlab.editMergeRequest(opened, { draft: true });
    await becomes(opened, { mergeState: 'draft', mergeable: true, title: 'Draft: Change topic' });
    await gitlab.editMergeRequest(opened, { draft: false, targetBranch: 'stable' });
    await becomes(opened, { mergeState: 'dirty', mergeable: false, ahead: null, targetBranch: 'stable' });
    await gitlab.push(project, { branch: 'stable', to: await headOf('main') });
    await becomes(opened, { mergeState: 'clean', ahead: 2, behind: 0 });
    const head = await headOf('topic');
    await gitlab.push(project, { branch: 'topic', to: null });
    await becomes(opened, { mergeState: 'dirty', ahead: null });
    await gitlab.push(project, { branch: 'topic', to: head });
    await becomes(opened, { mergeState: 'clean', ahead: 2 });
  });

  test('J6: one of a fork follows the fork', async () => {
    const { gitlab } = environment;
    const fork = await environment.serve('fork-of-shop');
    await fork.repository.git('fetch', '--quiet', repository.directory, '+main:main');
    await gitlab.commit(fork.project, { branch: 'idea', from: 'main', files: { 'f.txt': 'f\n' } });
    const forked = await gitlab.openMergeRequest(project, { source: fork.project, sourceBranch: 'idea' });
    await becomes(forked, { mergeState: 'clean', ahead: 1, behind: 0 });
    await gitlab.commit(fork.project, { branch: 'idea', files: { 'c.txt': 'of the fork\n' } });
    await desk.push('main', 'c.txt', 'of the shop\n');
    await becomes(forked, { mergeState: 'dirty', ahead: 2, behind: 1 });
    await gitlab.closeMergeRequest(forked);
    await eventually(async () => {
      expect((await shown()).mergeRequests.map(({ iid }) => iid)).toEqual([opened.iid]);
    });
  });

  test('J6: it is merged, and gone from those that are open', async () => {
    const { gitlab } = environment;
    await gitlab.push(project, { branch: 'stable', to: await headOf('topic') });
    await gitlab.mergeMergeRequest(opened);
    await eventually(async () => {
      expect(await shown()).toMatchObject({ openMergeRequests: 0, mergeRequests: [] });
    });
  });

  test('J2: a burst of pushes is folded into few runs, and the last of them is in the result', async () => {
    const { gitlab } = environment;
    await gitlab.commit(project, { branch: 'busy', from: 'main', files: { 'z.txt': 'z\n' } });
    const busy = await gitlab.openMergeRequest(project, { sourceBranch: 'busy' });
    await becomes(busy, { mergeState: 'clean', ahead: 1 });
    const before = gitlab.gitRequests.length;
    for (let n = 0; n < 8; n++) await gitlab.commit(project, { branch: 'busy', files: { 'z.txt': `z ${n}\n` } });
    await becomes(busy, { mergeState: 'clean', ahead: 9 });
    await untilQuiet(environment);
    await becomes(busy, { mergeState: 'clean', ahead: 9 });
    // Each push is told of twice, as a push and by the merge request.
    const fetches = gitlab.gitRequests.slice(before).filter(({ path }) => path.includes('/info/refs')).length;
    console.log(JSON.stringify({ triggers: 16, fetches }));
  });
});

describe('commits that are pushed', () => {
  const commitOf = async (sha: string) => environment.forgeflow.commits.show(project.path, sha);
  /** What GitLab shows of it, the oldest first; those that were replaced included. */
  async function statusesOf(sha: string): Promise<string[]> {
    const { gitlab } = environment;
    const url = `${gitlab.url}/api/v4/projects/${project.id}/repository/commits/${sha}/statuses?all=true`;
    const answer = await fetch(url, { headers: { 'PRIVATE-TOKEN': gitlab.token } });
    const found = (await answer.json()) as { name: string; status: string; description: string }[];
    return found.map(({ name, status, description }) => `${name} ${status}: ${description}`);
  }

  test('U4: a wrong manifest is an error with its line, in GitLab too', async () => {
    const manifest = 'version: 1\nchecks:\n  - plugin: lint\n    colour: red\n';
    const sha = await desk.push('wrong', '.forgeflow.yaml', manifest);
    await eventually(async () => {
      const [status, ...others] = await statusesOf(sha);
      expect(status).toMatch(/^forgeflow failed: \.forgeflow\.yaml, line 4, column 5: .*colour/);
      expect(others).toEqual([]);
    });
    expect(await commitOf(sha)).toMatchObject({ state: 'completed', branches: ['wrong'], checks: { state: 'error' } });
  });

  test('U4: a clone that fails is an error, in GitLab too, and is tried again until it does not', async () => {
    const { gitlab } = environment;
    await repository.git('config', 'http.uploadpack', 'false');
    const sha = await gitlab.commit(project, { branch: 'late', from: 'main', files: { 'late.txt': 'late\n' } });
    await eventually(async () => {
      expect(await statusesOf(sha)).toEqual([expect.stringMatching(/^forgeflow failed: git /)]);
    });
    expect(await commitOf(sha)).toMatchObject({ state: 'errored', checks: { state: 'error' } });
    await repository.git('config', 'http.uploadpack', 'true');
    await eventually(async () => {
      expect(await commitOf(sha)).toMatchObject({ state: 'completed', checks: { state: 'not_configured' } });
      expect((await statusesOf(sha)).at(-1)).toBe('forgeflow success: No checks are configured');
    });
  });

  test('U4: a branch that is forced back, and then deleted, is followed; nothing that is known is processed again', async () => {
    const { gitlab, database } = environment;
    await untilQuiet(environment);
    const processed = () =>
      database.db.selectFrom('commits').select(['sha', 'state', 'processed_at']).orderBy('id').execute();
    const before = await processed();
    const branches = async () => {
      const rows = await database.db.selectFrom('branches').select(['name', 'head_sha']).execute();
      return new Map(rows.map(({ name, head_sha }) => [name, head_sha]));
    };
    const [main, wrong] = [await headOf('main'), await headOf('wrong')];
    await gitlab.push(project, { branch: 'late', to: wrong });
    await gitlab.push(project, { branch: 'wrong', to: main });
    await untilQuiet(environment);
    expect((await branches()).get('late')).toBe(wrong);
    expect((await branches()).get('wrong')).toBe(main);
    await gitlab.push(project, { branch: 'wrong', to: null });
    await untilQuiet(environment);
    expect((await branches()).has('wrong')).toBe(false);
    expect((await branches()).get('late')).toBe(wrong);
    expect(await processed()).toEqual(before);
  });
});

test('the token is in no history of the jobs', async () => {
  const { temporal } = environment.forgeflow;
  const kinds = new Set<string>();
  for await (const { workflowId, runId, type } of temporal.workflow.list()) {
    kinds.add(type);
    expect(await historyText(temporal.workflow.getHandle(workflowId, runId))).not.toContain(environment.gitlab.token);
  }
  for (const kind of ['recompute_mergeability', 'recompute_review_decision', 'reindex_search', 'processCommit'])
    expect(kinds).toContain(kind);
});
