import { eventOf, type HookFlag } from './hook-events.ts';
import type { Owner, Project } from './places.ts';

/** What GitLab's payloads call the event; the rest of them is its flag without `_events`, in the singular. */
const KINDS: Partial<Record<HookFlag, string>> = {
  job_events: 'build',
  confidential_issues_events: 'issue',
  confidential_note_events: 'note',
  issues_events: 'issue',
  merge_requests_events: 'merge_request',
  releases_events: 'release',
  resource_access_token_events: 'access_token',
};

/** An event of this kind that has just happened there, in the shape of GitLab's documentation. */
export function sampleEvent(owner: Owner, flag: HookFlag): Record<string, unknown> {
  const kind = KINDS[flag] ?? flag.replace(/_events$/, '');
  if (owner.kind === 'group') return { event_name: `${kind}_create`, group_id: owner.id, full_path: owner.path };
  const common = { object_kind: kind, project_id: owner.id, project: projectIn(owner) };
  if (flag === 'push_events' || flag === 'tag_push_events') return { ...common, event_name: kind, ...push(flag) };
  return { ...common, event_type: eventOf(flag).title, user: USER, object_attributes: { id: 1, iid: 1 } };
}

const USER = { id: 4, name: 'Ada Potter', username: 'ada', avatar_url: null, email: '[REDACTED]' };

function projectIn({ id, name, path }: Project): Record<string, unknown> {
  return {
    id,
    name,
    path_with_namespace: path,
    web_url: `https://gitlab.example.com/${path}`,
    git_http_url: `https://gitlab.example.com/${path}.git`,
    namespace: path.slice(0, path.lastIndexOf('/')),
    visibility_level: 0,
    default_branch: 'main',
  };
}

function push(flag: 'push_events' | 'tag_push_events'): Record<string, unknown> {
  return {
    before: flag === 'tag_push_events' ? '0'.repeat(40) : '95790bf891e76fee5e1747ab589903a6a1f80f22',
    after: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
    ref: flag === 'tag_push_events' ? 'refs/tags/v1.0.0' : 'refs/heads/main',
    checkout_sha: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
    user_id: USER.id,
    user_username: USER.username,
    commits: [],
    total_commits_count: 0,
  };
}
