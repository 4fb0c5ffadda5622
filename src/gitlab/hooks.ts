import { GroupHooks, ProjectHooks } from '@gitbeaker/rest';
import { z } from 'zod';
import type { FoundHook } from '../domain/hook-plan.ts';
import { GitlabBadAnswer, GitlabNotFound } from './errors.ts';
import { hook, type HookBody, hookAttributes } from './hook-shape.ts';
import { nextPage, PER_PAGE } from './paging.ts';
import { type Call, type Connection, type Speaker, speakerFor } from './requester.ts';
import { checked, type GitlabOwner } from './shapes.ts';

/** GitLab allows 100 hooks for a project and 50 for a group; an installation may allow more, but hardly so many. */
const MOST_PAGES = 100;

/**
 * All hooks, page after page.
 * @throws GitlabForbidden without the right to change hooks
 * @throws GitlabNotFound without the project or group, and for a group where this edition of GitLab has no group hooks
 */
export async function listHooks(
  connection: Connection,
  owner: GitlabOwner,
  signal?: AbortSignal,
): Promise<FoundHook[]> {
  const found: FoundHook[] = [];
  for (let page: number | null = 1; page !== null;) {
    if (page > MOST_PAGES) throw new GitlabBadAnswer(`GitLab's list of hooks has no end: ${found.length} so far`);
    const part = await listPage(connection, owner, page, signal);
    found.push(...part.hooks);
    page = part.next;
  }
  // A hook that comes or goes meanwhile moves the others across the border of two pages.
  return [...new Map(found.map((one) => [one.id, one])).values()];
}

/**
 * Makes a hook. When this fails with GitlabUnavailable or GitlabBadAnswer, GitLab may have made it all the same.
 * @throws GitlabHookLimitReached
 */
export async function createHook(
  connection: Connection,
  owner: GitlabOwner,
  body: HookBody,
  signal?: AbortSignal,
): Promise<FoundHook> {
  const speaker = speakerFor(connection, callWith(body, signal));
  const answer = await resource(owner, speaker).add(owner.gitlabId, body.url, hookAttributes(body));
  return checked(hook, answer, 'a hook');
}

/** Sends all of the hook, the token too: GitLab forgets the token when the URL changes and none comes with it. */
export async function updateHook(
  connection: Connection,
  owner: GitlabOwner,
  hookId: number,
  body: HookBody,
  signal?: AbortSignal,
): Promise<FoundHook> {
  const speaker = speakerFor(connection, callWith(body, signal));
  const answer = await resource(owner, speaker).edit(owner.gitlabId, hookId, body.url, hookAttributes(body));
  return checked(hook, answer, 'a hook');
}

/** A hook that is gone already is fine. */
export async function deleteHook(
  connection: Connection,
  owner: GitlabOwner,
  hookId: number,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await resource(owner, speakerFor(connection, { signal })).remove(owner.gitlabId, hookId);
  } catch (error) {
    if (!(error instanceof GitlabNotFound)) throw error;
  }
}

/**
 * Has GitLab send a push event to the hook; one that GitLab had disabled is enabled again when that works.
 * @throws GitlabRejected when the receiver did not answer 2xx, or the project has no commit to tell of
 * @throws GitlabRateLimited with scope `call` after five within a minute
 * @throws GitlabNotFound without the hook, and before GitLab 16.11 (for groups 17.1), which has no test sends
 */
export async function testHook(
  connection: Connection,
  owner: GitlabOwner,
  hookId: number,
  signal?: AbortSignal,
): Promise<void> {
  // Gitbeaker has no method for it.
  const { requester } = resource(owner, speakerFor(connection, { signal }));
  await requester.post(`${owner.gitlabId}/hooks/${hookId}/test/push_events`);
}

const resource = ({ kind }: GitlabOwner, { options }: Speaker): ProjectHooks | GroupHooks =>
  kind === 'project' ? new ProjectHooks(options) : new GroupHooks(options);

const callWith = ({ token }: HookBody, signal: AbortSignal | undefined): Call => ({ signal, secrets: [token] });

async function listPage(
  connection: Connection,
  owner: GitlabOwner,
  page: number,
  signal: AbortSignal | undefined,
): Promise<{ hooks: FoundHook[]; next: number | null }> {
  const speaker = speakerFor(connection, { signal });
  const answer = await resource(owner, speaker).all(owner.gitlabId, { page, perPage: PER_PAGE });
  return { hooks: checked(z.array(hook), answer, 'a list of hooks'), next: nextPage(speaker.headers(), page) };
}
