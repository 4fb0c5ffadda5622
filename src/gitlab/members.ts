import { ProjectMembers } from '@gitbeaker/rest';
import { z } from 'zod';
import { GitlabBadAnswer, GitlabNotFound } from './errors.ts';
import { nextPageOf, PER_PAGE } from './paging.ts';
import { type Connection, speakerFor } from './requester.ts';
import { checked, id } from './shapes.ts';

/** Who may do something in a project, in it or in a group above it. */
export interface ProjectMember {
  /** GitLab's id of the user. */
  gitlabId: number;
  username: string;
  name: string;
  /** The highest of theirs; 0 for who is blocked, or still waits to be let in. */
  accessLevel: number;
}

const projectMember = z
  .object({
    id,
    username: z.string().min(1),
    name: z.string().nullish(),
    state: z.string(),
    access_level: z.number().int(),
    membership_state: z.string().nullish(),
  })
  .transform((found): ProjectMember => {
    const isActive = found.state === 'active' && (found.membership_state ?? 'active') === 'active';
    return {
      gitlabId: found.id,
      username: found.username,
      name: found.name ?? found.username,
      accessLevel: isActive ? found.access_level : 0,
    };
  });

/** 100,000 members of one project. */
const MOST_PAGES = 1_000;

/**
 * All members of a project, inherited ones and those of invited groups among them. Where any page cannot be had whole, none
 * of it is told. Members that come and go meanwhile may shift the list between two pages, so that one is passed over.
 * @returns also how many pages that took
 * @throws GitlabNotFound, GitlabForbidden where the project is gone or hides its members
 */
export async function listProjectMembers(
  connection: Connection,
  gitlabProjectId: number,
  signal?: AbortSignal,
): Promise<{ members: ProjectMember[]; pages: number }> {
  const members: ProjectMember[] = [];
  let pages = 0;
  for (let page: number | null = 1; page !== null;) {
    if (page > MOST_PAGES) throw new GitlabBadAnswer(`GitLab's list of members has no end: ${members.length} so far`);
    const { options, headers } = speakerFor(connection, { signal });
    const paging: object = { page, perPage: PER_PAGE };
    const answer = await new ProjectMembers(options).all(gitlabProjectId, { includeInherited: true, ...paging });
    const found = checked(z.array(projectMember), answer, 'a list of members');
    members.push(...found);
    pages++;
    page = nextPageOf(headers(), page, found.length);
  }
  return { members, pages };
}

/**
 * One member of a project, inherited membership included.
 * @returns null for who is none, and where the project is gone or hidden: GitLab says 404 of both
 */
export async function readProjectMember(
  connection: Connection,
  { gitlabProjectId, gitlabUserId }: { gitlabProjectId: number; gitlabUserId: number },
  signal?: AbortSignal,
): Promise<ProjectMember | null> {
  const { options } = speakerFor(connection, { signal });
  try {
    const answer = await new ProjectMembers(options).show(gitlabProjectId, gitlabUserId, { includeInherited: true });
    return checked(projectMember, answer, 'a member');
  } catch (error) {
    if (error instanceof GitlabNotFound) return null;
    throw error;
  }
}
