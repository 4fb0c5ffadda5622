import { AccessLevel, Groups, Projects } from '@gitbeaker/rest';
import { z } from 'zod';
import { GitlabNotFound } from './errors.ts';
import { nextAfter, nextPageOf, PER_PAGE, totalOf } from './paging.ts';
import { type Connection, speakerFor } from './requester.ts';
import { checked, type GitlabPlace, group, project, type ProjectDetails, projectDetails } from './shapes.ts';

/**
 * @param reference id, or full path
 * @throws GitlabNotFound
 */
export async function readProject(
  connection: Connection,
  reference: number | string,
  signal?: AbortSignal,
): Promise<GitlabPlace> {
  return whereItIsNow(reference, async (place) => {
    const { options } = speakerFor(connection, { signal });
    return checked(project, await new Projects(options).show(place), 'a project');
  });
}

/**
 * @param reference id, or full path
 * @throws GitlabNotFound
 */
export async function readProjectDetails(
  connection: Connection,
  reference: number | string,
  signal?: AbortSignal,
): Promise<ProjectDetails> {
  return whereItIsNow(reference, async (place) => {
    const { options } = speakerFor(connection, { signal });
    return checked(projectDetails, await new Projects(options).show(place), 'a project');
  });
}

/**
 * @param reference id, or full path
 * @throws GitlabNotFound
 */
export async function readGroup(
  connection: Connection,
  reference: number | string,
  signal?: AbortSignal,
): Promise<GitlabPlace> {
  return whereItIsNow(reference, async (place) => {
    const { options } = speakerFor(connection, { signal });
    // With its projects the answer is large and under a rate limit of its own.
    return checked(group, await new Groups(options).show(place, { withProjects: false }), 'a group');
  });
}

/**
 * One page of the projects of a group and of the groups below it. Archived ones are left out: they are read only, so
 * nothing happens in them and GitLab takes no hook for them. Shared ones are: they belong to another group.
 * @returns also how many there are in all; a number that changes from page to page tells that the list has shifted
 */
export async function readGroupProjects(
  connection: Connection,
  gitlabGroupId: number,
  page: number,
  signal?: AbortSignal,
): Promise<{ items: GitlabPlace[]; next: number | null; total: number | null }> {
  const { options, headers } = speakerFor(connection, { signal });
  // GitLab has no keyset paging here, but by id nothing slips past while projects come and go.
  const found = await new Groups(options).allProjects(gitlabGroupId, {
    includeSubgroups: true,
    withShared: false,
    archived: false,
    simple: true,
    orderBy: 'id',
    sort: 'asc',
    perPage: PER_PAGE,
    page,
  });
  const items = checked(z.array(project), found, 'a list of projects');
  return { items, next: nextPageOf(headers(), page, items.length), total: totalOf(headers()) };
}

/** One page of the projects that the token's account is at least a Maintainer of, inherited membership included. */
export async function readOwnProjects(
  connection: Connection,
  after: number | null,
  signal?: AbortSignal,
): Promise<{ items: GitlabPlace[]; next: number | null }> {
  const { options, headers } = speakerFor(connection, { signal });
  const found = await new Projects(options).all({
    membership: true,
    minAccessLevel: AccessLevel.MAINTAINER,
    archived: false,
    simple: true,
    pagination: 'keyset',
    orderBy: 'id',
    sort: 'asc',
    perPage: PER_PAGE,
    ...(after === null ? {} : { idAfter: after }),
  });
  const items = checked(z.array(project), found, 'a list of projects');
  return { items, next: nextAfter(headers(), items.at(-1)?.gitlabId) };
}

/** GitLab answers for a path that was left with a redirect to the id, which is asked for once, at the same GitLab. */
async function whereItIsNow<Place>(
  reference: number | string,
  read: (reference: number | string) => Promise<Place>,
): Promise<Place> {
  const place = typeof reference === 'number' ? reference : asPath(reference);
  try {
    return await read(place);
  } catch (error) {
    if (!(error instanceof GitlabNotFound) || error.movedTo === undefined) throw error;
    return read(asPath(error.movedTo));
  }
}

/** Without the slashes around it. An empty path, or `..`, would be another address of the API. */
function asPath(text: string): string {
  const path = text.replace(/^\/+|\/+$/g, '');
  if (path === '' || path === '.' || path === '..') throw new GitlabNotFound('GitLab has nothing under an empty path');
  return path;
}
