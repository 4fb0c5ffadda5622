import type { Surroundings } from './deliver.ts';
import { isDraft, type MergeRequest } from './merge-request.ts';
import type { Job, Pipeline } from './pipelines.ts';
import type { Project, User } from './places.ts';

/** In the shapes of GitLab's documentation of webhook events. */
type Payload = Record<string, unknown>;

/** As in `2026-11-12 15:21:36 UTC`. */
const spaced = (at: number): string => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
/** As in `2026-11-12T15:21:36Z`. */
const whole = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`;

const LEVELS = { private: 0, internal: 10, public: 20 } as const;
const STATE_IDS = { opened: 1, closed: 2, merged: 3, locked: 4 } as const;

export function pushEvent(
  project: Project,
  change: { branch: string; before: string | null; after: string | null; user: User },
  within: Surroundings,
): Payload {
  const { branch, before, after, user } = change;
  const nothing = '0'.repeat((before ?? after ?? '').length || 40);
  return {
    object_kind: 'push',
    event_name: 'push',
    before: before ?? nothing,
    after: after ?? nothing,
    ref: `refs/heads/${branch}`,
    ref_protected: branch === project.defaultBranch,
    checkout_sha: after,
    message: null,
    user_id: user.id,
    user_name: user.name,
    user_username: user.username,
    user_email: '',
    user_avatar: null,
    project_id: project.id,
    project: projectJson(project, within),
    repository: repositoryJson(project, within),
    commits: after === null ? [] : [commitJson(project, after, within)],
    total_commits_count: after === null ? 0 : 1,
    push_options: {},
  };
}

export interface MergeRequestHappening {
  user: User;
  action: string;
  /** Only where the head was pushed. */
  oldrev?: string | undefined;
  changes?: Record<string, { previous: unknown; current: unknown }> | undefined;
}

export function mergeRequestEvent(
  mergeRequest: MergeRequest,
  { user, action, oldrev, changes = {} }: MergeRequestHappening,
  within: Surroundings,
): Payload {
  const { project } = mergeRequest;
  return {
    object_kind: 'merge_request',
    event_type: 'merge_request',
    user: person(user),
    project: projectJson(project, within),
    object_attributes: {
      ...attributes(mergeRequest, within, whole),
      reviewer_ids: [...mergeRequest.reviewers.keys()].map(({ id }) => id),
      action,
      ...(oldrev !== undefined && { oldrev }),
    },
    labels: [],
    changes,
    repository: repositoryJson(project, within),
    assignees: [],
    reviewers: [...mergeRequest.reviewers].map(([one, { state }]) => ({ ...person(one), state })),
  };
}

export function noteEvent(
  mergeRequest: MergeRequest,
  { user, note, id, at }: { user: User; note: string; id: number; at: number },
  within: Surroundings,
): Payload {
  const { project } = mergeRequest;
  return {
    object_kind: 'note',
    event_type: 'note',
    user: person(user),
    project_id: project.id,
    project: projectJson(project, within),
    object_attributes: {
      id,
      note,
      noteable_type: 'MergeRequest',
      noteable_id: mergeRequest.id,
      author_id: user.id,
      project_id: project.id,
      created_at: spaced(at),
      updated_at: spaced(at),
      attachment: null,
      line_code: null,
      commit_id: '',
      system: false,
      st_diff: null,
      action: 'create',
      url: `${urlOf(mergeRequest, within)}#note_${id}`,
    },
    repository: repositoryJson(project, within),
    // Of reviewers a comment says nothing.
    merge_request: attributes(mergeRequest, within, spaced),
  };
}

export function pipelineEvent(pipeline: Pipeline, mergeRequest: MergeRequest | null, within: Surroundings): Payload {
  const { id, iid, project, sha, ref, source, status, createdAt, jobs } = pipeline;
  return {
    object_kind: 'pipeline',
    object_attributes: {
      id,
      iid,
      name: null,
      ref,
      tag: false,
      sha,
      before_sha: '0'.repeat(sha.length),
      source,
      status,
      detailed_status: status,
      stages: [...new Set(jobs.map(({ stage }) => stage))],
      created_at: spaced(createdAt),
      finished_at: null,
      duration: null,
      queued_duration: null,
      variables: [],
      url: `${within.instance}/${project.path}/-/pipelines/${id}`,
    },
    merge_request:
      mergeRequest === null
        ? null
        : {
            id: mergeRequest.id,
            iid: mergeRequest.iid,
            title: mergeRequest.title,
            source_branch: mergeRequest.sourceBranch,
            source_project_id: mergeRequest.source?.id ?? null,
            target_branch: mergeRequest.targetBranch,
            target_project_id: mergeRequest.project.id,
            state: mergeRequest.state,
            merge_status: 'unchecked',
            detailed_merge_status: 'unchecked',
            url: urlOf(mergeRequest, within),
          },
    user: null,
    project: projectJson(project, within),
    commit: commitJson(project, sha, within),
    builds: jobs.filter(({ external, retried }) => !external && !retried).map((job) => buildJson(job)),
  };
}

export function jobEvent({ id, name, stage, status, allowFailure, pipeline }: Job, within: Surroundings): Payload {
  const { project, sha, ref } = pipeline;
  return {
    object_kind: 'build',
    ref,
    tag: false,
    before_sha: '0'.repeat(sha.length),
    sha,
    build_id: id,
    build_name: name,
    build_stage: stage,
    build_status: status,
    build_created_at: whole(pipeline.createdAt),
    build_started_at: null,
    build_finished_at: null,
    build_duration: null,
    build_queued_duration: null,
    build_allow_failure: allowFailure,
    build_failure_reason: 'unknown_failure',
    retries_count: pipeline.jobs.filter((job) => job.name === name && job.retried).length,
    pipeline_id: pipeline.id,
    project_id: project.id,
    project_name: project.path.replaceAll('/', ' / '),
    user: null,
    // The pipeline's id, not the commit's.
    commit: { id: pipeline.id, name: null, sha, message: 'change\n', status: pipeline.status },
    repository: repositoryJson(project, within),
    project: projectJson(project, within),
    runner: null,
    environment: null,
  };
}

function attributes(mergeRequest: MergeRequest, within: Surroundings, time: (at: number) => string): Payload {
  const { id, iid, project, source, headSha, title, state, author } = mergeRequest;
  return {
    id,
    iid,
    target_branch: mergeRequest.targetBranch,
    source_branch: mergeRequest.sourceBranch,
    source_project_id: source?.id ?? null,
    target_project_id: project.id,
    author_id: author.id,
    assignee_ids: [],
    assignee_id: null,
    title,
    description: '',
    created_at: time(mergeRequest.createdAt),
    updated_at: time(mergeRequest.updatedAt),
    milestone_id: null,
    state_id: STATE_IDS[state],
    state,
    blocking_discussions_resolved: true,
    work_in_progress: isDraft(mergeRequest),
    draft: isDraft(mergeRequest),
    merge_status: 'unchecked',
    detailed_merge_status: 'unchecked',
    url: urlOf(mergeRequest, within),
    source: source === null ? null : projectJson(source, within),
    target: projectJson(project, within),
    last_commit: headSha === null ? null : commitJson(project, headSha, within),
    labels: [],
  };
}

const urlOf = ({ project, iid }: MergeRequest, { instance }: Surroundings): string =>
  `${instance}/${project.path}/-/merge_requests/${iid}`;

export const person = ({ id, name, username }: User): Payload => ({
  id,
  name,
  username,
  avatar_url: null,
  email: '[REDACTED]',
});

function projectJson(project: Project, { instance }: Surroundings): Payload {
  const url = `${instance}/${project.path}`;
  const ssh = `git@gitlab.example.com:${project.path}.git`;
  return {
    id: project.id,
    name: project.name,
    description: null,
    web_url: url,
    avatar_url: null,
    git_ssh_url: ssh,
    git_http_url: `${url}.git`,
    namespace: project.path.slice(0, Math.max(project.path.lastIndexOf('/'), 0)),
    visibility_level: LEVELS[project.visibility],
    path_with_namespace: project.path,
    default_branch: project.empty ? null : project.defaultBranch,
    ci_config_path: null,
    homepage: url,
    url: ssh,
    ssh_url: ssh,
    http_url: `${url}.git`,
  };
}

const repositoryJson = (project: Project, { instance }: Surroundings): Payload => ({
  name: project.name,
  url: `git@gitlab.example.com:${project.path}.git`,
  description: null,
  homepage: `${instance}/${project.path}`,
});

const commitJson = ({ path }: Project, sha: string, { instance }: Surroundings): Payload => ({
  id: sha,
  message: 'change\n',
  title: 'change',
  timestamp: '2026-11-12T14:27:31+02:00',
  url: `${instance}/${path}/-/commit/${sha}`,
  author: { name: 'Ada Potter', email: 'ada@example.com' },
});

const buildJson = ({ id, stage, name, status, allowFailure, createdAt }: Job): Payload => ({
  id,
  stage,
  name,
  status,
  created_at: spaced(createdAt),
  started_at: null,
  finished_at: null,
  duration: null,
  queued_duration: null,
  failure_reason: null,
  when: 'on_success',
  manual: status === 'manual',
  allow_failure: allowFailure,
  user: null,
  runner: null,
  artifacts_file: { filename: null, size: null },
  environment: null,
});
