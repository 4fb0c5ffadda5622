import { GUEST, OWNER, type Group, type Owner, type Project, type User } from './places.ts';

/** 0 for who is no member. Inherited membership counts, that of invited groups too, and the highest level wins. */
export function levelOf(userId: number, owner: Owner): number {
  let highest = 0;
  for (const { members, cap } of sourcesOf(owner)) {
    const level = Math.min(members.get(userId) ?? 0, cap);
    if (level > highest) highest = level;
  }
  return highest;
}

/** Highest level by user id. */
export function allMembersOf(owner: Owner): Map<number, number> {
  const levels = new Map<number, number>();
  for (const { members, cap } of sourcesOf(owner)) {
    for (const [userId, level] of members) levels.set(userId, Math.max(levels.get(userId) ?? 0, Math.min(level, cap)));
  }
  return levels;
}

export function canSee(user: User, owner: Owner): boolean {
  return user.admin || owner.visibility !== 'private' || levelOf(user.id, owner) >= GUEST;
}

/** Administrators may everything, without being members. */
export function mayAtLeast(user: User, level: number, owner: Owner): boolean {
  return user.admin || levelOf(user.id, owner) >= level;
}

/** The groups above a project, or a group and those above it, nearest first. */
export function ancestorsOf(owner: Owner): Group[] {
  const groups: Group[] = [];
  for (let group = owner.kind === 'project' ? owner.group : owner; group !== null; group = group.parent)
    groups.push(group);
  return groups;
}

/** Every project of a group and of the groups below it. */
export function projectsUnder(group: Group): Project[] {
  return [...group.projects, ...[...group.subgroups].flatMap(projectsUnder)];
}

interface Source {
  members: ReadonlyMap<number, number>;
  /** No member from here has more than this. */
  cap: number;
}

function sourcesOf(owner: Owner): Source[] {
  const places: Owner[] = owner.kind === 'project' ? [owner, ...ancestorsOf(owner)] : ancestorsOf(owner);
  return places.flatMap(({ members, shares }) => [
    { members, cap: OWNER },
    // What an invited group has been invited to itself is not passed on.
    ...shares.flatMap(({ group, level }) => ancestorsOf(group).map((one) => ({ members: one.members, cap: level }))),
  ]);
}
