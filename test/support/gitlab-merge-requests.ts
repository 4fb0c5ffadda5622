/**
 * What GitLab tells of merge requests, in the shape of its documentation: webhook events, and answers of its API.
 * Each test changes what it is about.
 */
const HEAD = 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7';
const ada = { id: 4, name: 'Ada Potter', username: 'ada', avatar_url: null };
const bob = { id: 6, name: 'Bob Glazer', username: 'bob', avatar_url: null };
const project = {
  id: 15,
  name: 'Kiln',
  web_url: 'https://gitlab.example.com/clay/kiln',
  path_with_namespace: 'clay/kiln',
  default_branch: 'main',
  ci_config_path: null,
};

const attributes = {
  id: 99,
  iid: 1,
  target_branch: 'main',
  source_branch: 'hotter',
  source_project_id: 14,
  target_project_id: 15,
  author_id: 4,
  assignee_ids: [4],
  reviewer_ids: [6],
  title: 'Hotter',
  description: '',
  created_at: '2026-11-12T14:00:00Z',
  updated_at: '2026-11-12T14:27:31Z',
  state_id: 1,
  state: 'opened',
  blocking_discussions_resolved: true,
  work_in_progress: false,
  draft: false,
  merge_status: 'unchecked',
  detailed_merge_status: 'checking',
  url: 'https://gitlab.example.com/clay/kiln/-/merge_requests/1',
  source: { ...project, id: 14 },
  target: project,
  last_commit: {
    id: HEAD,
    message: 'Fire it hotter\n',
    title: 'Fire it hotter',
    timestamp: '2026-11-12T14:27:31+02:00',
    url: `https://gitlab.example.com/clay/kiln/-/commit/${HEAD}`,
    author: { name: 'Ada Potter', email: 'ada@example.com' },
  },
  labels: [],
};

type Fields = Record<string, unknown>;

/** @param given of its `object_attributes`; @param beside of the payload itself */
export function mergeRequestEvent(given: Fields = {}, beside: Fields = {}): Fields {
  return {
    object_kind: 'merge_request',
    event_type: 'merge_request',
    user: ada,
    project,
    repository: { name: 'Kiln' },
    object_attributes: { ...attributes, action: 'open', ...given },
    labels: [],
    changes: {},
    assignees: [ada],
    reviewers: [{ ...bob, state: 'unreviewed', re_requested: false }],
    ...beside,
  };
}

/** A comment. @param given of its `merge_request`; null: it is on something else. */
export function noteEvent(given: Fields | null = {}, action = 'create'): Fields {
  return {
    object_kind: 'note',
    event_type: 'note',
    user: ada,
    project_id: 15,
    project,
    object_attributes: {
      id: 1244,
      note: 'Too hot?',
      noteable_type: given === null ? 'Commit' : 'MergeRequest',
      noteable_id: given === null ? null : 99,
      author_id: 4,
      created_at: '2026-11-12 15:21:36 UTC',
      updated_at: '2026-11-12 15:21:36 UTC',
      system: false,
      internal: false,
      action,
    },
    ...(given === null
      ? { commit: attributes.last_commit }
      : { merge_request: { ...attributes, updated_at: '2026-11-12 14:27:31 UTC', ...given } }),
  };
}

/** @param given of its `object_attributes`; @param beside of the payload itself */
export function pipelineEvent(given: Fields = {}, beside: Fields = {}): Fields {
  return {
    object_kind: 'pipeline',
    object_attributes: {
      id: 31,
      iid: 3,
      name: null,
      ref: 'hotter',
      tag: false,
      sha: HEAD,
      before_sha: HEAD,
      source: 'push',
      status: 'success',
      detailed_status: 'passed',
      stages: ['build'],
      created_at: '2026-11-12 14:28:00 UTC',
      finished_at: '2026-11-12 14:29:03 UTC',
      duration: 63,
      ...given,
    },
    merge_request: null,
    user: ada,
    project,
    commit: attributes.last_commit,
    builds: [{ id: 380, stage: 'build', name: 'bake', status: 'success', allow_failure: false }],
    ...beside,
  };
}

/** What a pipeline tells of the merge request that it is for: less than other events do. */
export const MERGE_REQUEST_OF_PIPELINE = {
  id: 99,
  iid: 1,
  title: 'Hotter',
  source_branch: 'hotter',
  source_project_id: 14,
  target_branch: 'main',
  target_project_id: 15,
  state: 'opened',
  merge_status: 'can_be_merged',
  detailed_merge_status: 'mergeable',
};

export function jobEvent(given: Fields = {}): Fields {
  return {
    object_kind: 'build',
    ref: 'hotter',
    tag: false,
    before_sha: '0000000000000000000000000000000000000000',
    sha: HEAD,
    build_id: 380,
    build_name: 'bake',
    build_stage: 'build',
    build_status: 'running',
    build_allow_failure: false,
    pipeline_id: 31,
    project_id: 15,
    project_name: 'Clay / Kiln',
    user: ada,
    commit: { id: 31, name: null, sha: HEAD, status: 'running' },
    project,
    ...given,
  };
}

/** An answer to `GET /projects/:id/merge_requests/:iid`. */
export function mergeRequestAnswer(given: Fields = {}): Fields {
  return {
    id: 99,
    iid: 1,
    project_id: 15,
    title: 'Hotter',
    description: '',
    state: 'opened',
    created_at: '2026-11-12T14:00:00.000Z',
    updated_at: '2026-11-12T14:27:31.520Z',
    target_branch: 'main',
    source_branch: 'hotter',
    author: ada,
    assignees: [ada],
    reviewers: [bob],
    source_project_id: 14,
    target_project_id: 15,
    draft: false,
    work_in_progress: false,
    merge_status: 'can_be_merged',
    detailed_merge_status: 'not_approved',
    sha: HEAD,
    merge_commit_sha: null,
    web_url: 'https://gitlab.example.com/clay/kiln/-/merge_requests/1',
    ...given,
  };
}
