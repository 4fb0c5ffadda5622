import { MergeRequestApprovals, MergeRequests } from '@gitbeaker/rest';
import { z } from 'zod';
import { reviewsOfApi, type StandingReviews } from '../domain/merge-request-reviews.ts';
import { type MergeRequest, mergeRequestOfApi, sha } from '../domain/merge-request.ts';
import { Refusal } from '../domain/refusal.ts';
import { GitlabBadAnswer } from './errors.ts';
import { nextPage, PER_PAGE } from './paging.ts';
import { type Connection, speakerFor } from './requester.ts';
import { checked } from './shapes.ts';

/** A merge request, by GitLab's id of the project that its base branch is in, and its number there. */
export interface MergeRequestReference {
  gitlabProjectId: number;
  iid: number;
}

export interface ShownMergeRequest {
  mergeRequest: MergeRequest;
  /**
   * The commit that GitLab made to try the merge, where a pipeline ran on that instead of on the head ("merged results");
   * its statuses are the head's then. Null where there is none, or where its pipelines are hidden from us.
   */
  mergedResultSha: string | null;
}

export interface OpenMergeRequests {
  mergeRequests: MergeRequest[];
  /** What is wrong with those that are not as documented, one sentence each. */
  unreadable: string[];
}

/** 100,000 of them; what goes on after that is no list. */
const MOST_PAGES = 1_000;

const pipelines = z.object({
  iid: z.number(),
  head_pipeline: z.object({ sha: z.string().nullish(), ref: z.string().nullish() }).nullish(),
});

/** @throws GitlabNotFound for one that is not there, or hidden from us */
export async function readMergeRequest(
  connection: Connection,
  { gitlabProjectId, iid }: MergeRequestReference,
  signal?: AbortSignal,
): Promise<ShownMergeRequest> {
  const { options } = speakerFor(connection, { signal });
  const answer: unknown = await new MergeRequests(options).show(gitlabProjectId, iid);
  const mergeRequest = understood('a merge request', () => mergeRequestOfApi(answer));
  const { head_pipeline } = checked(pipelines, answer, 'a merge request');
  const isOfMerge = head_pipeline?.ref === `refs/merge-requests/${iid}/merge`;
  return { mergeRequest, mergedResultSha: isOfMerge ? (sha.safeParse(head_pipeline.sha).data ?? null) : null };
}

/**
 * All open merge requests into a project, page after page, oldest first. GitLab has no keyset paging here: when one that is
 * listed closes between two pages, the one at their border may be passed over.
 * @throws GitlabForbidden where merge requests are switched off, or not for us to see
 */
export async function listOpenMergeRequests(
  connection: Connection,
  gitlabProjectId: number,
  signal?: AbortSignal,
): Promise<OpenMergeRequests> {
  const found = new Map<number, MergeRequest>();
  const unreadable: string[] = [];
  for (let page: number | null = 1; page !== null;) {
    if (page > MOST_PAGES) throw new GitlabBadAnswer("GitLab's list of merge requests has no end");
    const { options, headers } = speakerFor(connection, { signal });
    const answer: unknown = await new MergeRequests(options).all({
      projectId: gitlabProjectId,
      state: 'opened',
      scope: 'all',
      orderBy: 'created_at',
      sort: 'asc',
      perPage: PER_PAGE,
      page,
    });
    for (const one of checked(z.array(z.unknown()), answer, 'a list of merge requests')) {
      // One that cannot be read, as with a name of a branch that git does not allow, is not to hide the others.
      try {
        const mergeRequest = mergeRequestOfApi(one);
        found.set(mergeRequest.iid, mergeRequest);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        unreadable.push(error.message);
      }
    }
    page = nextPage(headers(), page);
  }
  return { mergeRequests: [...found.values()], unreadable };
}

/** Who has approved, and what those who were asked for a review have said so far. Two requests, or one more for each 100 reviewers. */
export async function readReviews(
  connection: Connection,
  { gitlabProjectId, iid }: MergeRequestReference,
  signal?: AbortSignal,
): Promise<StandingReviews> {
  const { options } = speakerFor(connection, { signal });
  const approvals: unknown = await new MergeRequestApprovals(options).showConfiguration(gitlabProjectId, {
    mergerequestIId: iid,
  });
  const reviewers: unknown[] = [];
  for (let page: number | null = 1; page !== null;) {
    if (page > MOST_PAGES) throw new GitlabBadAnswer("GitLab's list of reviewers has no end");
    const speaker = speakerFor(connection, { signal });
    // GitLab pages this list, without saying so in its documentation: 20 at once, where nothing else is asked for.
    const paging: object = { page, perPage: PER_PAGE };
    const answer: unknown = await new MergeRequests(speaker.options).showReviewers(gitlabProjectId, iid, paging);
    reviewers.push(...checked(z.array(z.unknown()), answer, 'a list of reviewers'));
    page = nextPage(speaker.headers(), page);
  }
  return understood('the reviews of a merge request', () => reviewsOfApi({ approvals, reviewers }));
}

/** @throws GitlabBadAnswer instead of the Refusal of what is not as documented */
function understood<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) throw new GitlabBadAnswer(`GitLab's answer is not ${what}: ${error.message}`);
    throw error;
  }
}
