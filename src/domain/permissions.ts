/** From the least to the most; each may what those before it may. */
export const ROLES = ['reader', 'developer', 'maintainer', 'owner'] as const;
export type Role = (typeof ROLES)[number];

/**
 * GitLab's access levels, from the highest: 50 owner (60 an administrator), 40 maintainer, 30 developer, 20 reporter. Levels
 * in between, as GitLab adds them now and then, are the next lower one's. Below reporter (planner, guest, minimal, none) a
 * member of a private project does not see its code, and so nothing here that tells of it.
 */
const LEAST_LEVELS: readonly (readonly [level: number, role: Role])[] = [
  [50, 'owner'],
  [40, 'maintainer'],
  [30, 'developer'],
  [20, 'reader'],
];

/** The role of an access level of GitLab; null: none. */
export function roleOf(accessLevel: number): Role | null {
  return LEAST_LEVELS.find(([level]) => accessLevel >= level)?.[1] ?? null;
}

/** One line of what GitLab lists: a member of the repository, or a repository of the user. */
export interface ListedPermission {
  /** The same ids as those of what is stored. */
  id: number;
  accessLevel: number;
}

export interface PermissionChanges {
  insert: { id: number; role: Role }[];
  change: { id: number; role: Role }[];
  delete: number[];
}

export interface PermissionQuestion {
  /** The roles as they are stored, by the id of the user (of the repository, where it is about a user). */
  stored: ReadonlyMap<number, Role>;
  listed: Iterable<ListedPermission>;
  /** Whether the list was read to its end. Of half a list nobody can tell who is missing, nor who has a higher level further on. */
  isComplete: boolean;
  /** Of which ids permissions are kept at all; what is listed or stored of others is left alone. Default: all. */
  isKept?: (id: number) => boolean;
}

/**
 * What to change for the stored roles to be those that GitLab lists, each list in the order of the ids; nothing where the
 * list is not complete. Who is listed more than once (as a member, and again through a group) has the highest level.
 */
export function permissionChanges(question: PermissionQuestion): PermissionChanges {
  const { stored, listed, isComplete, isKept = () => true } = question;
  const changes: PermissionChanges = { insert: [], change: [], delete: [] };
  if (!isComplete) return changes;

  const levels = new Map<number, number>();
  for (const { id, accessLevel } of listed) levels.set(id, Math.max(accessLevel, levels.get(id) ?? 0));
  const ids = [...new Set([...levels.keys(), ...stored.keys()])].filter(isKept).sort((a, b) => a - b);
  for (const id of ids) {
    const role = roleOf(levels.get(id) ?? 0);
    const known = stored.get(id);
    if (role === null) {
      if (known !== undefined) changes.delete.push(id);
    } else if (known === undefined) changes.insert.push({ id, role });
    else if (known !== role) changes.change.push({ id, role });
  }
  return changes;
}

export function isNone({ insert, change, delete: gone }: PermissionChanges): boolean {
  return insert.length + change.length + gone.length === 0;
}
