import { userJson } from './place-json.ts';
import type { Call } from './call.ts';
import type { Project, User } from './places.ts';

export type ReviewerState =
  'unreviewed' | 'review_started' | 'reviewed' | 'requested_changes' | 'approved' | 'unapproved';

export interface MergeRequest {
  id: number;
  iid: number;
  /** Where its base branch is. */
  project: Project;
  /** Where its head branch is; null once that project is gone. */
  source: Project | null;
  sourceBranch: string;
  targetBranch: string;
  /** With `Draft: ` where it is one. */
  title: string;
  state: 'opened' | 'closed' | 'merged' | 'locked';
  author: User;
  reviewers: Map<User, { state: ReviewerState; since: number }>;
  /** When each of them approved it. */
  approvals: Map<User, number>;
  /** Stays the last one when its branch is deleted. */
  headSha: string | null;
  createdAt: number;
  updatedAt: number;
}

export const isDraft = ({ title }: MergeRequest): boolean => /^\s*(?:\[draft\]|\(draft\)|draft:)/i.test(title);

/** How many approvals are still missing; none in the free edition, which asks for none. */
export function approvalsLeft({ project, approvals }: MergeRequest, premium: boolean): number {
  return premium ? Math.max(project.approvalsRequired - approvals.size, 0) : 0;
}

/** As in a list; one by itself has more. */
export function mergeRequestJson(mergeRequest: MergeRequest, call: Call, { inList = false } = {}): object {
  const { id, iid, project, source, title, state, author, headSha } = mergeRequest;
  const people = (users: Iterable<User>): unknown[] => [...users].map((user) => userJson(user, call));
  const pipeline = inList ? undefined : headPipelineOf(mergeRequest, call);
  return {
    id,
    iid,
    project_id: project.id,
    title,
    description: '',
    state,
    created_at: new Date(mergeRequest.createdAt).toISOString(),
    updated_at: new Date(mergeRequest.updatedAt).toISOString(),
    merged_by: null,
    merge_user: null,
    target_branch: mergeRequest.targetBranch,
    source_branch: mergeRequest.sourceBranch,
    upvotes: 0,
    downvotes: 0,
    author: userJson(author, call),
    assignees: [],
    reviewers: people(mergeRequest.reviewers.keys()),
    source_project_id: source?.id ?? null,
    target_project_id: project.id,
    labels: [],
    draft: isDraft(mergeRequest),
    work_in_progress: isDraft(mergeRequest),
    milestone: null,
    merge_when_pipeline_succeeds: false,
    merge_status: 'unchecked',
    detailed_merge_status: isDraft(mergeRequest) ? 'draft_status' : 'unchecked',
    sha: headSha,
    merge_commit_sha: null,
    squash_commit_sha: null,
    references: { short: `!${iid}`, relative: `!${iid}`, full: `${project.path}!${iid}` },
    web_url: `${call.within.instance}/${project.path}/-/merge_requests/${iid}`,
    has_conflicts: false,
    blocking_discussions_resolved: true,
    ...(pipeline !== undefined && { head_pipeline: pipeline, changes_count: null, diff_refs: null }),
  };
}

/** The newest pipeline of its head, or of the commit that tries its merge; null where there is none. */
function headPipelineOf({ iid, project, source, headSha }: MergeRequest, { world }: Call): object | null {
  const pipelines = [...new Set([project, source])].flatMap((one) => (one === null ? [] : world.codeOf(one).pipelines));
  const [newest] = pipelines
    .filter(({ sha, ref }) => sha === headSha || ref === `refs/merge-requests/${iid}/merge`)
    .sort((a, b) => b.id - a.id);
  if (newest === undefined) return null;
  const { id, sha, ref, status, source: cause } = newest;
  return { id, iid: newest.iid, project_id: newest.project.id, sha, ref, status, source: cause };
}

export function approvalsJson(mergeRequest: MergeRequest, call: Call): object {
  const { id, iid, project, title, state, approvals } = mergeRequest;
  const { premium } = call.within.settings;
  const left = approvalsLeft(mergeRequest, premium);
  const approvedBy = [...approvals].map(([user, at]) => ({
    user: userJson(user, call),
    approved_at: new Date(at).toISOString(),
  }));
  const common = {
    user_has_approved: approvals.has(call.user),
    user_can_approve: !approvals.has(call.user),
    approved: premium ? left === 0 : approvals.size > 0,
    approved_by: approvedBy,
  };
  if (!premium) return common;
  return {
    id,
    iid,
    project_id: project.id,
    title,
    description: '',
    state,
    created_at: new Date(mergeRequest.createdAt).toISOString(),
    updated_at: new Date(mergeRequest.updatedAt).toISOString(),
    merge_status: 'unchecked',
    approvals_required: project.approvalsRequired,
    approvals_left: left,
    require_password_to_approve: false,
    suggested_approvers: [],
    approvers: [],
    approver_groups: [],
    approval_rules_left: [],
    has_approval_rules: project.approvalsRequired > 0,
    merge_request_approvers_available: true,
    multiple_approval_rules_available: true,
    ...common,
  };
}

export function reviewerJson(
  [user, { state, since }]: [User, { state: ReviewerState; since: number }],
  call: Call,
): object {
  return { user: userJson(user, call), state, created_at: new Date(since).toISOString() };
}
