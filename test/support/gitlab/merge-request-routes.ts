import { forbidden, ok, recordNotFound, refusal, grapeRefusal } from './answer.ts';
import { mayAtLeast } from './access.ts';
import { projectIn, take, type Call, type Route } from './call.ts';
import { approvalsJson, mergeRequestJson, reviewerJson, type MergeRequest } from './merge-request.ts';
import { offsetPage, PAGE_PARAMETERS } from './pagination.ts';
import { commitStatusJson } from './pipelines.ts';
import { REPORTER, type Project } from './places.ts';
import { postStatus } from './status-post.ts';

const ONE = '/projects/:id/merge_requests/:merge_request_iid';

/** Merge requests, what was said of them, and what pipelines say of commits. */
export const mergeRequestRoutes: Route[] = [
  { method: 'GET', path: '/projects/:id/merge_requests', work: list },
  { method: 'GET', path: ONE, work: show },
  { method: 'GET', path: `${ONE}/approvals`, work: showApprovals },
  { method: 'GET', path: `${ONE}/reviewers`, work: listReviewers },
  { method: 'GET', path: '/projects/:id/repository/commits/:sha/statuses', work: listStatuses },
  { method: 'POST', path: '/projects/:id/statuses/:sha', work: postStatus },
];

/** What is seen of a project that is not private is seen by all; its own members want to be more than guests. */
function mayRead(call: Call, project: Project): boolean {
  return project.visibility !== 'private' || mayAtLeast(call.user, REPORTER, project);
}

function list(call: Call) {
  const project = projectIn(call);
  if (!project.mergeRequestsEnabled || !mayRead(call, project)) throw forbidden();
  const values = take(call, {
    ...PAGE_PARAMETERS,
    state: { type: 'string', values: ['opened', 'closed', 'locked', 'merged', 'all'] },
    scope: { type: 'string', values: ['created-by-me', 'assigned-to-me', 'created_by_me', 'assigned_to_me', 'all'] },
    order_by: { type: 'string', values: ['created_at', 'updated_at', 'title'] },
    sort: { type: 'string', values: ['asc', 'desc'] },
    source_branch: { type: 'string' },
    target_branch: { type: 'string' },
    with_merge_status_recheck: { type: 'boolean' },
    with_labels_details: { type: 'boolean' },
    view: { type: 'string', values: ['simple'] },
  });
  const key = values['order_by'] === 'updated_at' ? 'updatedAt' : 'createdAt';
  const sign = values['sort'] === 'asc' ? 1 : -1;
  const wanted = (name: string, actual: string): boolean => values[name] === undefined || values[name] === actual;
  const found = call.world
    .codeOf(project)
    .mergeRequests.filter(
      (one) =>
        (values['state'] === 'all' || wanted('state', one.state)) &&
        wanted('source_branch', one.sourceBranch) &&
        wanted('target_branch', one.targetBranch),
    )
    .sort((a, b) => sign * (a[key] - b[key] || a.id - b.id));
  const { items, headers } = offsetPage(found, values, call.pageUrl);
  return ok(
    items.map((one) => mergeRequestJson(one, call, { inList: true })),
    headers,
  );
}

function show(call: Call) {
  const mergeRequest = mergeRequestIn(call);
  take(call, {
    render_html: { type: 'boolean' },
    include_diverged_commits_count: { type: 'boolean' },
    include_rebase_in_progress: { type: 'boolean' },
  });
  return ok(mergeRequestJson(mergeRequest, call));
}

function showApprovals(call: Call) {
  const mergeRequest = mergeRequestIn(call);
  take(call, {});
  return ok(approvalsJson(mergeRequest, call));
}

function listReviewers(call: Call) {
  const mergeRequest = mergeRequestIn(call);
  const values = take(call, PAGE_PARAMETERS);
  const { items, headers } = offsetPage([...mergeRequest.reviewers], values, call.pageUrl);
  return ok(
    items.map((one) => reviewerJson(one, call)),
    headers,
  );
}

/** @throws Refusal 404 also for one that is there and hidden */
function mergeRequestIn(call: Call): MergeRequest {
  const project = projectIn(call);
  const iid = call.segments['merge_request_iid'] ?? '';
  if (!/^\d+$/.test(iid)) throw grapeRefusal(400, 'merge_request_iid is invalid');
  const found = call.world.codeOf(project).mergeRequests.find((one) => one.iid === Number(iid));
  if (found === undefined || !project.mergeRequestsEnabled || !mayRead(call, project)) throw recordNotFound();
  return found;
}

async function listStatuses(call: Call) {
  const project = projectIn(call);
  if (!project.pipelinesEnabled || !mayRead(call, project)) throw forbidden();
  const values = take(call, {
    ...PAGE_PARAMETERS,
    ref: { type: 'string' },
    stage: { type: 'string' },
    name: { type: 'string' },
    all: { type: 'boolean' },
    pipeline_id: { type: 'integer', since: '17.8' },
    order_by: { type: 'string', values: ['id', 'pipeline_id'], since: '17.8' },
    sort: { type: 'string', values: ['asc', 'desc'], since: '17.8' },
  });
  const sha = call.segments['sha'] ?? '';
  const code = call.world.codeOf(project);
  if (!(await code.hasCommit(sha))) throw refusal(404, '404 Commit Not Found');
  const found = code.pipelines
    .filter((pipeline) => pipeline.sha === sha)
    .flatMap(({ jobs }) => jobs)
    .filter(({ retried, name }) => (values['all'] === true || !retried) && (values['name'] ?? name) === name)
    .sort((a, b) => a.id - b.id);
  const { items, headers } = offsetPage(found, values, call.pageUrl);
  return ok(items.map(commitStatusJson), headers);
}
