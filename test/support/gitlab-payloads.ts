/** What GitLab sends, in the shape of its documentation: webhook events, and system hooks for the last ones. */
export interface GitlabRequest {
  /** Its header `X-Gitlab-Event`. */
  event: string;
  topic: string;
  body: string;
}

const project = {
  id: 15,
  name: 'Kiln',
  description: '',
  web_url: 'https://gitlab.example.com/clay/kiln',
  avatar_url: null,
  git_ssh_url: 'git@gitlab.example.com:clay/kiln.git',
  git_http_url: 'https://gitlab.example.com/clay/kiln.git',
  namespace: 'Clay',
  visibility_level: 0,
  path_with_namespace: 'clay/kiln',
  default_branch: 'main',
  ci_config_path: null,
};
const user = { id: 4, name: 'Ada Potter', username: 'ada', avatar_url: null, email: '[REDACTED]' };
const pushed = {
  before: '95790bf891e76fee5e1747ab589903a6a1f80f22',
  after: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
  ref_protected: true,
  checkout_sha: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
  user_id: 4,
  user_name: 'Ada Potter',
  user_username: 'ada',
  user_email: null,
  project_id: 15,
  project,
};
const commit = {
  id: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
  message: 'Fire it hotter\n\nÜber 1200 °C 🔥',
  title: 'Fire it hotter',
  timestamp: '2026-11-12T14:27:31+02:00',
  url: 'https://gitlab.example.com/clay/kiln/-/commit/da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
  author: { name: 'Ada Potter', email: 'ada@example.com' },
  added: ['CHANGELOG.md'],
  modified: ['src/kiln.ts'],
  removed: [],
};
const mergeRequest = {
  id: 99,
  iid: 1,
  target_branch: 'main',
  source_branch: 'hotter',
  source_project_id: 15,
  target_project_id: 15,
  title: 'Hotter',
  state: 'opened',
  merge_status: 'unchecked',
  detailed_merge_status: 'checking',
  last_commit: commit,
};

const request = (event: string, kind: string, payload: object): GitlabRequest => ({
  event,
  topic: `gitlab.${kind}`,
  body: JSON.stringify(payload),
});

export const PUSH = request('Push Hook', 'push', {
  object_kind: 'push',
  event_name: 'push',
  ...pushed,
  ref: 'refs/heads/main',
  commits: [commit],
  total_commits_count: 1,
});

export const TAG_PUSH = request('Tag Push Hook', 'tag_push', {
  object_kind: 'tag_push',
  event_name: 'tag_push',
  ...pushed,
  before: '0000000000000000000000000000000000000000',
  ref: 'refs/tags/v1.0.0',
  commits: [],
  total_commits_count: 0,
});

export const MERGE_REQUEST = request('Merge Request Hook', 'merge_request', {
  object_kind: 'merge_request',
  event_type: 'merge_request',
  user,
  project,
  object_attributes: { ...mergeRequest, action: 'open', oldrev: null },
  labels: [],
  changes: { state_id: { previous: 3, current: 1 } },
});

export const NOTE = request('Note Hook', 'note', {
  object_kind: 'note',
  event_type: 'note',
  user,
  project_id: 15,
  project,
  object_attributes: { id: 1244, note: 'Too hot?', noteable_type: 'MergeRequest', author_id: 4, action: 'create' },
  merge_request: mergeRequest,
});

export const PIPELINE = request('Pipeline Hook', 'pipeline', {
  object_kind: 'pipeline',
  object_attributes: { id: 31, iid: 3, ref: 'main', status: 'success', stages: ['build'], duration: 63, variables: [] },
  user,
  project,
  commit,
  builds: [{ id: 380, stage: 'build', name: 'bake', status: 'success', queued_duration: 196.812914512 }],
});

/** A job: its kind is still called as it once was. */
export const BUILD = request('Job Hook', 'build', {
  object_kind: 'build',
  ref: 'main',
  tag: false,
  build_id: 380,
  build_name: 'bake',
  build_stage: 'build',
  build_status: 'running',
  build_queued_duration: 1095.588715,
  pipeline_id: 31,
  project_id: 15,
  user,
});

export const PROJECT_CREATE = request('System Hook', 'project_create', {
  created_at: '2026-11-21T07:30:54Z',
  updated_at: '2026-11-21T07:38:22Z',
  event_name: 'project_create',
  name: 'Kiln',
  owners: [{ name: 'Ada Potter', email: 'ada@example.com' }],
  path: 'kiln',
  path_with_namespace: 'clay/kiln',
  project_id: 15,
  project_visibility: 'private',
});

/** A newer system hook, that has an `object_kind` and no `event_name`. */
export const MEMBER_APPROVAL = request('System Hook', 'gitlab_subscription_member_approval', {
  object_kind: 'gitlab_subscription_member_approval',
  action: 'enqueue',
  object_attributes: { new_access_level: 30, old_access_level: 10 },
  user_id: 4,
});

/** Both names, of which the first is the wider one: more than one kind of it may come. */
export const ACCESS_TOKEN = request('Resource Access Token Hook', 'access_token', {
  object_kind: 'access_token',
  event_name: 'expiring_access_token',
  project,
  object_attributes: { id: 25, name: 'ci', expires_at: '2026-12-01' },
});

export const GITLAB_REQUESTS = [
  PUSH,
  TAG_PUSH,
  MERGE_REQUEST,
  NOTE,
  PIPELINE,
  BUILD,
  PROJECT_CREATE,
  MEMBER_APPROVAL,
  ACCESS_TOKEN,
];
