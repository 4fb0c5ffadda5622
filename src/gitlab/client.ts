import { Users } from '@gitbeaker/rest';
import pLimit from 'p-limit';
import type { FoundHook } from '../domain/hook-plan.ts';
import type { StandingReviews } from '../domain/merge-request-reviews.ts';
import type { PostedStatus } from '../domain/commit-statuses.ts';
import type { CommitStatus } from '../domain/status-rollup.ts';
import { type Access, accessOf } from './access.ts';
import { postCommitStatus, readCommitStatuses } from './commit-statuses.ts';
import { createExchange, type Exchange } from './exchange.ts';
import type { HookBody } from './hook-shape.ts';
import { createHook, deleteHook, listHooks, testHook, updateHook } from './hooks.ts';
import {
  listOpenMergeRequests,
  type MergeRequestReference,
  type OpenMergeRequests,
  readMergeRequest,
  readReviews,
  type ShownMergeRequest,
} from './merge-requests.ts';
import { listProjectMembers, type ProjectMember, readProjectMember } from './members.ts';
import { readGroup, readGroupProjects, readOwnProjects, readProject, readProjectDetails } from './places.ts';
import type { RateLimit } from './rate-limit.ts';
import { type Connection, speakerFor } from './requester.ts';
import { checked, type GitlabOwner, type GitlabPlace, type ProjectDetails, user } from './shapes.ts';
import { type GitlabUser, readUser } from './users.ts';

/** Part of a listing, and where it goes on; null at the end. */
export interface ListingPage {
  items: GitlabPlace[];
  next: number | null;
}

export interface GitlabClientOptions {
  /** GitLab's own address (`GITLAB_URL`), with its path where it does not live at the root of its host. */
  url: string;
  /** A personal, group or project access token with the scope `api`. */
  token: string;
  /** For each request as a whole. */
  timeoutMs?: number | undefined;
  /** Told of every answer that states the rate limit. */
  observe?: ((limit: RateLimit) => void) | undefined;
  /** Requests under way at once; the others wait, and their time does not run yet. */
  concurrency?: number | undefined;
}

/**
 * GitLab's REST API, as far as it concerns hooks and merge requests. Nothing is ever tried twice and no redirect followed: that is for the
 * caller, who knows what a repeated request would do. Every method throws a GitlabError (errors.ts), or the signal's
 * reason once that aborts.
 */
export interface GitlabClient {
  /** Whose token it is. */
  currentUser(signal?: AbortSignal): Promise<{ id: number; username: string }>;
  group(reference: number | string, signal?: AbortSignal): Promise<GitlabPlace>;
  project(reference: number | string, signal?: AbortSignal): Promise<GitlabPlace>;
  projectDetails(reference: number | string, signal?: AbortSignal): Promise<ProjectDetails>;
  /** @param page from 1 on @returns `next`: the page after this one; `total`: of all pages, where GitLab says so */
  groupProjects(
    gitlabGroupId: number,
    page: number,
    signal?: AbortSignal,
  ): Promise<ListingPage & { total: number | null }>;
  /** @param after null at first @returns `next`: what `after` is to be next */
  ownProjects(after: number | null, signal?: AbortSignal): Promise<ListingPage>;
  accessOf(owner: GitlabOwner, userId: number, signal?: AbortSignal): Promise<Access>;
  listHooks(owner: GitlabOwner, signal?: AbortSignal): Promise<FoundHook[]>;
  createHook(owner: GitlabOwner, hook: HookBody, signal?: AbortSignal): Promise<FoundHook>;
  updateHook(owner: GitlabOwner, hookId: number, hook: HookBody, signal?: AbortSignal): Promise<FoundHook>;
  deleteHook(owner: GitlabOwner, hookId: number, signal?: AbortSignal): Promise<void>;
  testHook(owner: GitlabOwner, hookId: number, signal?: AbortSignal): Promise<void>;
  /** All there are: a request for every hundred. */
  openMergeRequests(gitlabProjectId: number, signal?: AbortSignal): Promise<OpenMergeRequests>;
  mergeRequest(reference: MergeRequestReference, signal?: AbortSignal): Promise<ShownMergeRequest>;
  /** Two requests. */
  reviews(reference: MergeRequestReference, signal?: AbortSignal): Promise<StandingReviews>;
  /** GitlabNotFound where the project does not have the commit. */
  commitStatuses(commit: { gitlabProjectId: number; sha: string }, signal?: AbortSignal): Promise<CommitStatus[]>;
  /** All members of a project, inherited ones too: a request for every hundred. */
  projectMembers(gitlabProjectId: number, signal?: AbortSignal): Promise<{ members: ProjectMember[]; pages: number }>;
  /** Null for who is no member, and where there is no such project. */
  projectMember(
    reference: { gitlabProjectId: number; gitlabUserId: number },
    signal?: AbortSignal,
  ): Promise<ProjectMember | null>;
  /** With the emails that we are shown; null where there is none. */
  user(gitlabUserId: number, signal?: AbortSignal): Promise<GitlabUser | null>;
  /** One that is pending already stays as it is. GitlabNotFound as above. */
  postCommitStatus(
    commit: { gitlabProjectId: number; sha: string },
    status: PostedStatus,
    signal?: AbortSignal,
  ): Promise<void>;
  /** As the last answer stated it; null when it did not. */
  rateLimit(): RateLimit | null;
  /** Lets the requests in flight end. */
  close(): Promise<void>;
}

export function createGitlabClient(options: GitlabClientOptions): GitlabClient {
  const { url, token, timeoutMs = 30_000, observe, concurrency = Infinity } = options;
  const exchange = createExchange(timeoutMs);
  let lastLimit: RateLimit | null = null;
  const connection: Connection = {
    host: url.replace(/\/+$/, ''),
    token,
    exchange: atMost(concurrency, exchange),
    onRateLimit(limit) {
      lastLimit = limit;
      if (limit !== null) observe?.(limit);
    },
  };
  return {
    async currentUser(signal) {
      const answer = await new Users(speakerFor(connection, { signal }).options).showCurrentUser();
      return checked(user, answer, 'a user');
    },
    group: (reference, signal) => readGroup(connection, reference, signal),
    project: (reference, signal) => readProject(connection, reference, signal),
    projectDetails: (reference, signal) => readProjectDetails(connection, reference, signal),
    groupProjects: (groupId, page, signal) => readGroupProjects(connection, groupId, page, signal),
    ownProjects: (after, signal) => readOwnProjects(connection, after, signal),
    accessOf: (owner, userId, signal) => accessOf(connection, owner, userId, signal),
    listHooks: (owner, signal) => listHooks(connection, owner, signal),
    createHook: (owner, hook, signal) => createHook(connection, owner, hook, signal),
    updateHook: (owner, hookId, hook, signal) => updateHook(connection, owner, hookId, hook, signal),
    deleteHook: (owner, hookId, signal) => deleteHook(connection, owner, hookId, signal),
    testHook: (owner, hookId, signal) => testHook(connection, owner, hookId, signal),
    openMergeRequests: (projectId, signal) => listOpenMergeRequests(connection, projectId, signal),
    mergeRequest: (reference, signal) => readMergeRequest(connection, reference, signal),
    reviews: (reference, signal) => readReviews(connection, reference, signal),
    commitStatuses: (commit, signal) => readCommitStatuses(connection, commit, signal),
    postCommitStatus: (commit, status, signal) => postCommitStatus(connection, commit, status, signal),
    projectMembers: (projectId, signal) => listProjectMembers(connection, projectId, signal),
    projectMember: (reference, signal) => readProjectMember(connection, reference, signal),
    user: (userId, signal) => readUser(connection, userId, signal),
    rateLimit: () => lastLimit,
    close: () => exchange.close(),
  };
}

function atMost(concurrency: number, exchange: Exchange): Exchange {
  const limit = pLimit(concurrency);
  return { ...exchange, send: (outgoing, signal) => limit(() => exchange.send(outgoing, signal)) };
}
