import { AccessLevel, GroupMembers, ProjectMembers } from '@gitbeaker/rest';
import { GitlabForbidden, GitlabNotFound } from './errors.ts';
import { listHooks } from './hooks.ts';
import { readGroup, readProject } from './places.ts';
import { type Connection, speakerFor } from './requester.ts';
import { checked, type GitlabOwner, member } from './shapes.ts';

/** What an account may do with the hooks of a project or group. */
export interface Access {
  sufficient: boolean;
  /** GitLab's access level (10 Guest … 40 Maintainer, 50 Owner); null for who is no member. */
  level: number | null;
}

/** Hooks of a group are a matter of its Owners. */
const LEVEL_NEEDED: Record<GitlabOwner['kind'], number> = { project: AccessLevel.MAINTAINER, group: AccessLevel.OWNER };

/**
 * Whether our account may change hooks, by the single-member endpoint, which counts inherited membership and that of
 * invited groups. Mostly one request. Where that says no, the last word is whether GitLab lists the hooks to us: it does
 * so to administrators, who need not be members, and to custom roles with the right to manage webhooks.
 * @throws GitlabNotFound when the project or group itself is not there, or hidden from us
 */
export async function accessOf(
  connection: Connection,
  owner: GitlabOwner,
  userId: number,
  signal?: AbortSignal,
): Promise<Access> {
  const level = await levelOf(connection, owner, userId, signal);
  const sufficient = level !== null && level >= LEVEL_NEEDED[owner.kind];
  return { sufficient: sufficient || (await listsHooks(connection, owner, signal)), level };
}

async function levelOf(
  connection: Connection,
  { kind, gitlabId }: GitlabOwner,
  userId: number,
  signal: AbortSignal | undefined,
): Promise<number | null> {
  const { options } = speakerFor(connection, { signal });
  const members = kind === 'project' ? new ProjectMembers(options) : new GroupMembers(options);
  try {
    const answer = await members.show(gitlabId, userId, { includeInherited: true });
    return checked(member, answer, 'a member').access_level;
  } catch (error) {
    if (error instanceof GitlabNotFound || error instanceof GitlabForbidden) return null;
    throw error;
  }
}

/** A 404 says the same of a group without hooks, of a project that is gone and of one that is hidden: look closer. */
async function listsHooks(connection: Connection, owner: GitlabOwner, signal?: AbortSignal): Promise<boolean> {
  try {
    await listHooks(connection, owner, signal);
    return true;
  } catch (error) {
    if (error instanceof GitlabForbidden) return false;
    if (!(error instanceof GitlabNotFound)) throw error;
  }
  await (owner.kind === 'project' ? readProject : readGroup)(connection, owner.gitlabId, signal);
  return false;
}
