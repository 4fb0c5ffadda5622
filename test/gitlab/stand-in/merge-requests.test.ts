import { describe, expect, onTestFinished, test } from 'vitest';
import { mergeRequestOfEvent } from '../../../src/domain/merge-request.ts';
import { triggersOf } from '../../../src/domain/job-triggers.ts';
import { type Delivery, DEVELOPER, type GitlabOptions, GUEST } from '../../support/gitlab/index.ts';
import { startReceiver } from '../../support/receiver.ts';
import { ask, gitlabForTest } from './api.ts';

async function scene(options: GitlabOptions = {}) {
  const gitlab = await gitlabForTest(options);
  const project = gitlab.addProject({ path: 'kiln' });
  const receiver = await startReceiver();
  onTestFinished(async () => receiver.close());
  const all = { push_events: true, merge_requests_events: true, note_events: true, pipeline_events: true };
  gitlab.addHook(project, { url: receiver.url, job_events: true, ...all });
  const mergeRequest = await gitlab.openMergeRequest(project, { sourceBranch: 'hotter' });
  return { gitlab, project, mergeRequest, receiver };
}

interface Payload {
  object_kind: string;
  object_attributes: Record<string, unknown>;
  changes: Record<string, unknown>;
}
const payloadOf = ({ body }: Delivery): Payload => JSON.parse(body) as Payload;
const kindsOf = (deliveries: readonly Delivery[]): string[] => deliveries.map((one) => payloadOf(one).object_kind);
const actionOf = (delivery: Delivery | undefined) => payloadOf(delivery!).object_attributes['action'];

describe('what people do to a merge request is told to hooks', () => {
  test('as an event that our own parser takes, which says the same as the API', async () => {
    const { gitlab, project, receiver } = await scene();
    const [request] = await receiver.waitForRequests(1);
    expect(request!.headers['x-gitlab-event']).toBe('Merge Request Hook');
    const told = mergeRequestOfEvent(JSON.parse(String(request!.rawBody)));
    const { body } = await ask(gitlab, `GET /projects/${project.id}/merge_requests/1`);
    expect(body).toMatchObject({ id: told.gitlabId, sha: told.headSha, source_branch: 'hotter', state: 'opened' });
  });

  test('each with its action', async () => {
    const { gitlab, mergeRequest } = await scene();
    const bob = gitlab.addUser({ username: 'bob' });
    const told = async (deed: Promise<Delivery[]>) => {
      const [delivery, ...others] = await deed;
      expect(others).toEqual([]);
      return [actionOf(delivery), Object.keys(payloadOf(delivery!).changes)];
    };
    expect(await told(gitlab.editMergeRequest(mergeRequest, { draft: true }))).toEqual(['update', ['title', 'draft']]);
    expect(await told(gitlab.editMergeRequest(mergeRequest, { reviewers: [bob] }))).toEqual(['update', ['reviewers']]);
    expect(await told(gitlab.editMergeRequest(mergeRequest, { targetBranch: 'x' }))).toEqual([
      'update',
      ['target_branch'],
    ]);
    expect(await told(gitlab.approve(mergeRequest, bob))).toEqual(['approved', []]);
    expect(await told(gitlab.unapprove(mergeRequest, bob))).toEqual(['unapproved', []]);
    expect(await told(gitlab.closeMergeRequest(mergeRequest))).toEqual(['close', []]);
    expect(await told(gitlab.reopenMergeRequest(mergeRequest))).toEqual(['reopen', []]);
    expect(kindsOf(await gitlab.requestChanges(mergeRequest, bob))).toEqual(['note']);
    expect(kindsOf(await gitlab.comment(mergeRequest, bob, 'Hm.'))).toEqual(['note']);
    expect(await told(gitlab.mergeMergeRequest(mergeRequest))).toEqual(['merge', []]);
  });

  test('with approvals still missing, an approval is called another name', async () => {
    const { gitlab, project, mergeRequest } = await scene({ settings: { premium: true } });
    gitlab.changeProject(project, { approvalsRequired: 2 });
    const [ada, bob] = [gitlab.addUser({ username: 'a' }), gitlab.addUser({ username: 'b' })];
    expect((await gitlab.approve(mergeRequest, ada)).map(actionOf)).toEqual(['approval']);
    expect((await gitlab.approve(mergeRequest, bob)).map(actionOf)).toEqual(['approved']);
    expect((await gitlab.unapprove(mergeRequest, bob)).map(actionOf)).toEqual(['unapproved']);
    expect((await gitlab.unapprove(mergeRequest, ada)).map(actionOf)).toEqual(['unapproval']);
  });

  test('a push tells of itself, and of the merge requests whose head it moves, in forks too', async () => {
    const { gitlab, project, mergeRequest } = await scene();
    const fork = gitlab.addProject({ path: 'fork', forkedFrom: project });
    const ofFork = await gitlab.openMergeRequest(project, { source: fork, sourceBranch: 'hotter' });
    const before = mergeRequest.headSha;
    const to = 'a'.repeat(40);
    const told = await gitlab.push(project, { branch: 'hotter', to });
    expect(kindsOf(told)).toEqual(['push', 'merge_request']);
    expect(payloadOf(told[0]!)).toMatchObject({ ref: 'refs/heads/hotter', after: to, project_id: project.id });
    expect(payloadOf(told[1]!).object_attributes).toMatchObject({
      iid: 1,
      action: 'update',
      oldrev: before,
      last_commit: { id: to },
    });
    expect([mergeRequest.headSha, ofFork.headSha === to]).toEqual([to, false]);
    expect(kindsOf(await gitlab.push(fork, { branch: 'hotter' }))).toEqual(['merge_request']);
    const gone = await gitlab.push(project, { branch: 'hotter', to: null });
    expect(payloadOf(gone[0]!)).toMatchObject({ before: to, after: '0'.repeat(40), checkout_sha: null });
  });

  test('of pipelines, jobs and reports of other services, as far as GitLab tells of them', async () => {
    const { gitlab, project, mergeRequest } = await scene();
    const pipeline = await gitlab.runPipeline(project, { mergeRequest, jobs: [{ name: 'bake', status: 'running' }] });
    const told = await gitlab.setJob(pipeline.jobs[0]!, 'failed');
    expect(kindsOf(told)).toEqual(['build', 'pipeline']);
    expect(payloadOf(told[1]!)).toMatchObject({ object_attributes: { status: 'failed' }, merge_request: { iid: 1 } });
    expect(told.map(({ body }) => triggersOf(JSON.parse(body)))).toEqual([
      [expect.objectContaining({ kind: 'recompute_review_decision' })],
      [
        expect.objectContaining({ about: { what: 'commit', gitlabProjectId: project.id, sha: mergeRequest.headSha } }),
        expect.objectContaining({ about: { what: 'merge_request', gitlabProjectId: project.id, iid: 1 } }),
      ],
    ]);
    expect(pipeline.status).toBe('failed');
  });
});

test('triggers: each deed calls for the jobs whose result it can change, and no other', async () => {
  const { gitlab, project, mergeRequest } = await scene();
  const bob = gitlab.addUser({ username: 'bob' });
  const called = (told: readonly Delivery[]): string[] => {
    const triggers = told.flatMap(({ body }) => triggersOf(JSON.parse(body)));
    return [...new Set(triggers.map(({ kind }) => kind.replace('recompute_', '')))].sort();
  };
  const both = ['mergeability', 'review_decision'];
  const branch = mergeRequest.sourceBranch;
  const deeds: [string[], () => Promise<readonly Delivery[]>][] = [
    [both, () => gitlab.push(project, { branch })],
    [['mergeability', 'reindex_search', 'review_decision'], () => gitlab.push(project)],
    [['mergeability'], () => gitlab.editMergeRequest(mergeRequest, { draft: true })],
    [both, () => gitlab.editMergeRequest(mergeRequest, { targetBranch: 'stable' })],
    [['review_decision'], () => gitlab.editMergeRequest(mergeRequest, { reviewers: [bob] })],
    [['review_decision'], () => gitlab.approve(mergeRequest, bob)],
    [['review_decision'], () => gitlab.unapprove(mergeRequest, bob)],
    [['review_decision'], () => gitlab.requestChanges(mergeRequest, bob)],
    [['review_decision'], () => gitlab.comment(mergeRequest, bob, 'Hm.')],
    [[], () => gitlab.closeMergeRequest(mergeRequest)],
    [both, () => gitlab.reopenMergeRequest(mergeRequest)],
    [[], () => gitlab.mergeMergeRequest(mergeRequest)],
  ];
  for (const [expected, deed] of deeds)
    expect([deed.toString(), called(await deed())]).toEqual([deed.toString(), expected]);
});

describe('the API', () => {
  test('shows merge requests to those who may read the code, and says 404 of one that is not there', async () => {
    const { gitlab, project } = await scene();
    const guest = gitlab.addUser({ username: 'guest' });
    gitlab.addMember(project, guest, GUEST);
    const { value: token } = gitlab.addToken(guest);
    const path = `/projects/${project.id}/merge_requests`;
    expect(await ask(gitlab, `GET ${path}`, undefined, { token })).toMatchObject({ status: 403 });
    expect(await ask(gitlab, `GET ${path}/1`, undefined, { token })).toMatchObject({ status: 404 });
    expect(await ask(gitlab, `GET ${path}/2`)).toMatchObject({ status: 404, body: { message: '404 Not found' } });
    gitlab.addMember(project, guest, DEVELOPER);
    expect(await ask(gitlab, `GET ${path}/1`, undefined, { token })).toMatchObject({ status: 200 });
    gitlab.changeProject(project, { mergeRequestsEnabled: false });
    expect(await ask(gitlab, `GET ${path}`)).toMatchObject({ status: 403 });
  });

  test('lists the newest first, where nothing else is asked for', async () => {
    const { gitlab, project, mergeRequest } = await scene();
    gitlab.clock.advance(1_000);
    await gitlab.openMergeRequest(project, { sourceBranch: 'second' });
    gitlab.clock.advance(1_000);
    await gitlab.closeMergeRequest(mergeRequest);
    const iids = async (query: string) => {
      const { body } = await ask(gitlab, `GET /projects/${project.id}/merge_requests${query}`);
      return (body as { iid: number }[]).map(({ iid }) => iid);
    };
    expect(await iids('')).toEqual([2, 1]);
    expect(await iids('?sort=asc')).toEqual([1, 2]);
    expect(await iids('?order_by=updated_at')).toEqual([1, 2]);
    expect(await iids('?state=opened')).toEqual([2]);
    expect(await iids('?state=all&source_branch=hotter')).toEqual([1]);
    expect(await ask(gitlab, `GET /projects/${project.id}/merge_requests?state=open`)).toMatchObject({ status: 400 });
  });

  test('gives no number twice', async () => {
    const { gitlab, project, mergeRequest } = await scene();
    gitlab.deleteMergeRequest(mergeRequest);
    expect(await gitlab.openMergeRequest(project, { sourceBranch: 'next' })).toMatchObject({ iid: 2 });
  });

  test('shows no source project once the fork is gone', async () => {
    const { gitlab, project } = await scene();
    const fork = gitlab.addProject({ path: 'fork', forkedFrom: project });
    await gitlab.openMergeRequest(project, { source: fork, sourceBranch: 'hotter' });
    gitlab.deleteProject(fork);
    const { body } = await ask(gitlab, `GET /projects/${project.id}/merge_requests/2`);
    expect(body).toMatchObject({ source_project_id: null, target_project_id: project.id });
  });
});
