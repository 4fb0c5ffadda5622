import type { Delivery, Surroundings } from './deliver.ts';
import { emit } from './events.ts';
import type { Group, NewProject, Project, User } from './places.ts';
import type { World } from './world.ts';

/** What people do to groups and projects, of which group hooks are told; of members of a project they are not. */
export interface PlaceHappenings {
  /** A user becomes a member of a group, or another role's. */
  join(group: Group, user: User, level: number): Promise<Delivery[]>;
  leave(group: Group, user: User): Promise<Delivery[]>;
  createProject(project: NewProject & { group: Group }): Promise<{ project: Project; told: Delivery[] }>;
  destroyProject(project: Project): Promise<Delivery[]>;
}

const LEVELS: Record<number, string> = {
  10: 'Guest',
  15: 'Planner',
  20: 'Reporter',
  30: 'Developer',
  40: 'Maintainer',
  50: 'Owner',
};

export function createPlaceHappenings(world: World, within: Surroundings): PlaceHappenings {
  const time = (at: number) => `${new Date(at).toISOString().slice(0, 19)}Z`;

  /** In the shapes of GitLab's documentation of webhook events. */
  function memberEvent(event: string, group: Group, user: User, level: number) {
    return {
      created_at: time(within.clock.now()),
      updated_at: time(within.clock.now()),
      group_name: group.name,
      group_path: group.path.slice(group.path.lastIndexOf('/') + 1),
      group_id: group.id,
      user_username: user.username,
      user_name: user.name,
      user_email: '[REDACTED]',
      user_id: user.id,
      group_access: LEVELS[level] ?? 'Guest',
      group_plan: null,
      expires_at: null,
      event_name: event,
    };
  }

  function projectEvent(event: string, project: Project) {
    return {
      event_name: event,
      created_at: time(project.createdAt),
      updated_at: time(within.clock.now()),
      name: project.name,
      path: project.path.slice(project.path.lastIndexOf('/') + 1),
      path_with_namespace: project.path,
      project_id: project.id,
      project_namespace_id: project.id + 1_000_000,
      owners: [{ name: 'Ada', email: '[REDACTED]' }],
      project_visibility: project.visibility,
    };
  }

  const tellOfMember = (event: string, group: Group, user: User, level: number) =>
    emit(group, { flag: 'member_events', payload: memberEvent(event, group, user, level) }, within);
  const tellOfProject = (event: string, project: Project) =>
    emit(project, { flag: 'project_events', payload: projectEvent(event, project) }, within);

  return {
    async join(group, user, level) {
      const isNew = !group.members.has(user.id);
      group.members.set(user.id, level);
      world.revision++;
      return tellOfMember(isNew ? 'user_add_to_group' : 'user_update_for_group', group, user, level);
    },
    async leave(group, user) {
      const level = group.members.get(user.id) ?? 0;
      group.members.delete(user.id);
      world.revision++;
      return tellOfMember('user_remove_from_group', group, user, level);
    },
    async createProject(given) {
      const project = world.addProject(given);
      return { project, told: await tellOfProject('project_create', project) };
    },
    async destroyProject(project) {
      world.deleteProject(project);
      return tellOfProject('project_destroy', project);
    },
  };
}
