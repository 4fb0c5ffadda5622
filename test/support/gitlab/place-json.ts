import type { Call } from './call.ts';
import type { Group, Project, User } from './places.ts';

/** In the shapes of GitLab's documentation, of the attributes those that are not about features we do not have. */
export function userJson(user: User, call: Call): Record<string, unknown> {
  const { id, username, name, admin, blocked } = user;
  return {
    id,
    username,
    name,
    state: blocked ? 'blocked' : 'active',
    locked: false,
    avatar_url: null,
    web_url: `${call.within.instance}/${username}`,
    ...(admin && { is_admin: true }),
  };
}

export function groupJson(group: Group, call: Call): Record<string, unknown> {
  return {
    id: group.id,
    web_url: `${call.within.instance}/groups/${group.path}`,
    name: group.name,
    path: lastPart(group.path),
    description: '',
    visibility: group.visibility,
    full_name: group.path.replaceAll('/', ' / '),
    full_path: group.path,
    created_at: new Date(group.createdAt).toISOString(),
    parent_id: group.parent?.id ?? null,
  };
}

export function projectJson(project: Project, call: Call, { simple = false } = {}): Record<string, unknown> {
  const { instance } = call.within;
  const parent = project.path.slice(0, Math.max(project.path.lastIndexOf('/'), 0));
  return {
    id: project.id,
    description: null,
    name: project.name,
    name_with_namespace: project.path.replaceAll('/', ' / '),
    path: lastPart(project.path),
    path_with_namespace: project.path,
    created_at: new Date(project.createdAt).toISOString(),
    default_branch: project.empty ? null : project.defaultBranch,
    http_url_to_repo: `${instance}/${project.path}.git`,
    web_url: `${instance}/${project.path}`,
    last_activity_at: new Date(project.createdAt).toISOString(),
    namespace: {
      id: project.group?.id ?? 1,
      name: lastPart(parent),
      path: lastPart(parent),
      kind: project.group === null ? 'user' : 'group',
      full_path: parent,
      parent_id: project.group?.parent?.id ?? null,
    },
    ...(!simple && {
      archived: project.archived,
      visibility: project.visibility,
      empty_repo: project.empty,
      merge_requests_enabled: project.mergeRequestsEnabled,
      merge_requests_access_level: project.mergeRequestsEnabled ? 'enabled' : 'disabled',
      ...(project.forkedFrom && {
        forked_from_project: { id: project.forkedFrom.id, path_with_namespace: project.forkedFrom.path },
      }),
    }),
  };
}

const lastPart = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
