import { z } from 'zod';
import { gitlabId } from './merge-request.ts';
import { narrow } from './narrow.ts';

/** What GitLab tells of projects, groups and their members, as far as it matters to a job. Ids are GitLab's. */
export type PlaceNews =
  | { what: 'project_destroyed'; projectId: number }
  /** It has this path now; it may have come from elsewhere. */
  | { what: 'project_moved'; projectId: number; path: string }
  /** Its visibility, or anything else. */
  | { what: 'project_changed'; projectId: number; path: string }
  /** Who its own members are. */
  | { what: 'project_members'; projectId: number }
  /** There may be other projects below this path than before. */
  | { what: 'group_projects'; path: string }
  /** What a user may do in a group, and so in all that is below it. */
  | { what: 'membership'; user: NamedUser }
  | { what: 'user_created'; user: NamedUser }
  | { what: 'user_renamed'; user: NamedUser }
  | { what: 'user_destroyed'; userId: number };

/** A user as an event names them. */
export interface NamedUser {
  gitlabId: number;
  username: string;
  name: string;
}

const path = z.string().min(1, 'it is empty');
const project = z
  .object({ project_id: gitlabId, path_with_namespace: path })
  .transform((found) => ({ projectId: found.project_id, path: found.path_with_namespace }));
const projectId = z.object({ project_id: gitlabId }).transform((found) => found.project_id);
const group = z.object({ full_path: path }).transform((found) => found.full_path);
const member = z
  .object({ user_id: gitlabId, user_username: path, user_name: z.string().nullish() })
  .transform((found) => named(found.user_id, found.user_username, found.user_name));
const user = z
  .object({ user_id: gitlabId, username: path, name: z.string().nullish() })
  .transform((found) => named(found.user_id, found.username, found.name));
const userId = z.object({ user_id: gitlabId }).transform((found) => found.user_id);

const named = (gitlabId: number, username: string, name: string | null | undefined): NamedUser => ({
  gitlabId,
  username,
  name: name ?? username,
});

const ofProjectMembers = (payload: unknown): PlaceNews => ({
  what: 'project_members',
  projectId: read(projectId, payload),
});
const ofMembership = (payload: unknown): PlaceNews => ({ what: 'membership', user: read(member, payload) });
const ofMove = (payload: unknown): PlaceNews => ({ what: 'project_moved', ...read(project, payload) });
const ofGroup = (payload: unknown): PlaceNews => ({ what: 'group_projects', path: read(group, payload) });

/**
 * By `event_name`. Hooks of groups tell of their members, of projects that come and go and of subgroups; system hooks, which
 * somebody has to make by hand, tell of all of these, and alone of the rest.
 */
const NEWS = {
  project_create: (payload) => ({ what: 'group_projects', path: read(project, payload).path }),
  project_destroy: (payload) => ({ what: 'project_destroyed', projectId: read(projectId, payload) }),
  project_rename: ofMove,
  project_transfer: ofMove,
  project_update: (payload) => ({ what: 'project_changed', ...read(project, payload) }),
  subgroup_create: ofGroup,
  subgroup_destroy: ofGroup,
  group_rename: ofGroup,
  user_add_to_group: ofMembership,
  user_update_for_group: ofMembership,
  user_remove_from_group: ofMembership,
  user_add_to_team: ofProjectMembers,
  user_update_for_team: ofProjectMembers,
  user_remove_from_team: ofProjectMembers,
  user_create: (payload) => ({ what: 'user_created', user: read(user, payload) }),
  user_rename: (payload) => ({ what: 'user_renamed', user: read(user, payload) }),
  user_destroy: (payload) => ({ what: 'user_destroyed', userId: read(userId, payload) }),
} as const satisfies Record<string, (payload: unknown) => PlaceNews>;

function read<Schema extends z.ZodType>(schema: Schema, payload: unknown): z.infer<Schema> {
  return narrow(schema, payload, 'payload');
}

/** The names of the events that tell of such things. */
export const PLACE_EVENTS = Object.keys(NEWS) as (keyof typeof NEWS)[];

const kindOfEvent = z.object({ object_kind: z.string().nullish(), event_name: z.string().nullish() });

/**
 * What an event tells of places and people; null for one of another kind.
 * @throws Refusal where it is not as documented, naming the field
 */
export function placeNewsOf(payload: unknown): PlaceNews | null {
  const { object_kind, event_name } = read(kindOfEvent, payload);
  const name = object_kind ?? event_name ?? '';
  return Object.hasOwn(NEWS, name) ? NEWS[name as keyof typeof NEWS](payload) : null;
}
