import type { Database, ForgeflowDatabase } from '../database/connection.ts';
import { removeJobEvent, takeJobEvent } from '../database/job-events.ts';
import { type JobRequest, requestJobs } from '../database/job-requests.ts';
import { forgetMergeability } from '../database/merge-request-results.ts';
import {
  findMergeRequestByIid,
  type KeptMergeRequest,
  mergeRequestsAbout,
  upsertMergeRequest,
} from '../database/merge-requests.ts';
import { findTrackedByGitlabId } from '../database/tracked-repositories.ts';
import { type JobTrigger, triggersOf } from '../domain/job-triggers.ts';
import { tellsOfMergeRequest, mergeRequestOfEvent } from '../domain/merge-request.ts';
import { placeNewsOf } from '../domain/place-triggers.ts';
import { pushedBranchOf } from '../domain/pushed-branch.ts';
import { Refusal } from '../domain/refusal.ts';
import type { Logger } from '../logging.ts';
import { followPlaces } from './follow-places.ts';
import { followPush } from './follow-push.ts';

export interface ReadDependencies {
  db: ForgeflowDatabase;
  logger: Logger;
}

/**
 * Reads the oldest event that nobody has read yet for what it means to jobs: keeps the merge request, branch or member that
 * it tells of, says of what it has changed that it is unknown now, and asks for the jobs. All of it is committed, or none.
 * @returns false where there was no event
 */
export async function readJobEvent({ db, logger }: ReadDependencies): Promise<boolean> {
  return db.transaction().execute(async (transaction) => {
    const event = await takeJobEvent(transaction);
    if (event === undefined) return false;
    try {
      await interpret(transaction, JSON.parse(event.payload));
    } catch (error) {
      // An event that GitLab made otherwise than it documents says nothing, and must not keep the others.
      if (!(error instanceof Refusal)) throw error;
      logger.warn('an event is not as GitLab documents it; no job comes of it', {
        eventId: event.id,
        problem: error.message,
      });
    }
    await removeJobEvent(transaction, event.id);
    return true;
  });
}

/** @throws Refusal before anything is written */
async function interpret(db: Database, payload: unknown): Promise<void> {
  const triggers = triggersOf(payload);
  const mergeRequest = tellsOfMergeRequest(payload) ? mergeRequestOfEvent(payload) : undefined;
  const pushed = pushedBranchOf(payload);
  const news = placeNewsOf(payload);
  const kept = mergeRequest && (await upsertMergeRequest(db, mergeRequest));
  const requests = kept === undefined ? [] : requestsAfter(kept);
  if (pushed !== null) requests.push(...(await followPush(db, pushed)));
  if (news !== null) requests.push(...(await followPlaces(db, news)));
  for (const trigger of triggers) requests.push(...(await requestsOf(db, trigger)));
  await requestJobs(db, withoutRepetition(requests));
}

/**
 * What the event is about may be a comment, and the news that it brings along a push whose own event got lost: GitLab sends
 * each once.
 */
function requestsAfter({ id: mergeRequestId, repositoryId, ...kept }: KeptMergeRequest): JobRequest[] {
  const changed = new Set(kept.changed);
  const isUndecided = kept.isNew || changed.has('head') || changed.has('state');
  const requests: JobRequest[] = [];
  if (kept.state === 'opened' && (kept.isNew || changed.size > 0))
    requests.push({ kind: 'recompute_mergeability', payload: { mergeRequestId } });
  if (kept.state === 'opened' && isUndecided)
    requests.push({ kind: 'recompute_review_decision', payload: { mergeRequestId } });
  if (kept.isDoubtful) requests.push({ kind: 'sync_merge_requests', payload: { repositoryId } });
  return requests;
}

function withoutRepetition(requests: JobRequest[]): JobRequest[] {
  return [...new Map(requests.map((one) => [JSON.stringify([one.kind, one.payload]), one])).values()];
}

async function requestsOf(db: Database, { kind, about }: JobTrigger): Promise<JobRequest[]> {
  if (about.what === 'repository') {
    const repository = await findTrackedByGitlabId(db, about.gitlabProjectId);
    return repository === undefined ? [] : [{ kind, payload: { repositoryId: repository.id } }];
  }
  if (about.what === 'merge_request' && (await findMergeRequestByIid(db, about)) === undefined) {
    // Its own event has got lost, or came before the repository was tracked: GitLab is asked for it.
    const repository = await findTrackedByGitlabId(db, about.gitlabProjectId);
    return repository === undefined ? [] : [{ kind: 'sync_merge_requests', payload: { repositoryId: repository.id } }];
  }
  const ids = await mergeRequestsAbout(db, about);
  if (kind === 'recompute_mergeability' && about.what === 'branch') await forgetMergeability(db, ids);
  return ids.map((mergeRequestId) => ({ kind, payload: { mergeRequestId } }));
}
