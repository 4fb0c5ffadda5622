import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { requestJobs } from '../src/database/job-requests.ts';
import type { MergeRequestRecord } from '../src/database/merge-request-records.ts';
import { writeDecision } from '../src/database/merge-request-results.ts';
import {
  closeMergeRequest,
  findMergeRequest,
  type KeptMergeRequest,
  upsertMergeRequest,
} from '../src/database/merge-requests.ts';
import type { JobPayload } from '../src/domain/job.ts';
import type { MergeRequest } from '../src/domain/merge-request.ts';
import { reviewDecision } from '../src/domain/review-decision.ts';
import { type CommitStatus, rollUp } from '../src/domain/status-rollup.ts';
import type { GitlabClient } from '../src/gitlab/client.ts';
import { GitlabForbidden, GitlabNotFound } from '../src/gitlab/errors.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { askingGitlab } from './gitlab-jobs.ts';
import type { JobContext, JobDone, JobOutcome } from './job-context.ts';

export interface ReviewDecisionDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

/** Where neither the repository nor GitLab's own rules say how many. */
const REQUIRED_APPROVALS = 1;

export function createReviewDecision({ db, gitlab }: ReviewDecisionDependencies) {
  return {
    /**
     * What a merge request's reviews, and the statuses of its head, come to. All of that is read from GitLab now, the merge
     * request itself too: events only say that there is something to be read, and may overtake one another.
     */
    async recompute_review_decision(
      { mergeRequestId }: JobPayload<'recompute_review_decision'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      const known = await findMergeRequest(db, mergeRequestId);
      if (known === undefined) return { summary: 'there is no such merge request' };
      if (isOver(known)) return { summary: `nothing to decide: it is ${known.state}` };
      return askingGitlab(gitlab, async (client) => decide(db, client, known, signal));
    },
  };
}

async function decide(
  db: ForgeflowDatabase,
  client: GitlabClient,
  known: MergeRequestRecord,
  signal: AbortSignal,
): Promise<JobDone> {
  const { id, iid, repository } = known;
  const reference = { gitlabProjectId: repository.gitlabId, iid };
  const shown = await client.mergeRequest(reference, signal).catch(orGone);
  if (shown === null) {
    const closed = await closeMergeRequest(db, known);
    return { summary: closed ? 'GitLab has it no more' : 'outdated: it has changed meanwhile', gone: closed };
  }
  const kept = await keep(db, shown.mergeRequest);
  if (kept === undefined) return { summary: 'its repository is not tracked any more' };
  if (isOver(kept)) return { summary: `nothing to decide: it is ${kept.state}` };

  const standing = await client.reviews(reference, signal);
  const { headSha } = kept;
  const places = placesOf({ ...shown.mergeRequest, headSha }, shown.mergedResultSha);
  const statuses: CommitStatus[] = [];
  let hidden = 0;
  for (const place of places) {
    const found = await client.commitStatuses(place, signal).catch(orHidden);
    if (found === 'hidden') hidden++;
    else statuses.push(...found);
  }

  const required = repository.requiredApprovals ?? standing.approvalsRequired ?? REQUIRED_APPROVALS;
  const review = reviewDecision({ ...standing, requiredApprovals: required });
  const rollup = rollUp(statuses);
  const written = await writeDecision(db, { id, headSha }, { review, statuses: rollup, at: new Date() });
  if (!written) return { summary: 'outdated: its head was pushed meanwhile' };
  return {
    summary: `reviews: ${review ?? 'none'}, statuses: ${rollup ?? 'none'}`,
    reviewDecision: review,
    statusRollup: rollup,
    statuses: statuses.length,
    ...(hidden > 0 && { projectsWithHiddenPipelines: hidden }),
  };
}

/** One that is locked is being merged, which may fail; of one that is closed or merged nobody wants to know. */
const isOver = ({ state }: Pick<MergeRequest, 'state'>): boolean => state === 'closed' || state === 'merged';

/** If it is not what we had, its mergeability has to be looked at as well, whose job may have seen an older one. */
async function keep(db: ForgeflowDatabase, found: MergeRequest): Promise<KeptMergeRequest | undefined> {
  return db.transaction().execute(async (transaction) => {
    const kept = await upsertMergeRequest(transaction, found);
    // An event may have told of something newer since GitLab was asked.
    if (kept?.isDoubtful)
      await requestJobs(transaction, [{ kind: 'sync_merge_requests', payload: { repositoryId: kept.repositoryId } }]);
    if (kept !== undefined && kept.changed.length > 0 && !isOver(kept))
      await requestJobs(transaction, [{ kind: 'recompute_mergeability', payload: { mergeRequestId: kept.id } }]);
    return kept;
  });
}

/** Where statuses of its head are: pipelines of a fork's branches run in the fork. */
function placesOf(
  { headSha, gitlabProjectId, sourceGitlabProjectId }: MergeRequest,
  mergedResultSha: string | null,
): { gitlabProjectId: number; sha: string }[] {
  const commits = [headSha, mergedResultSha === headSha ? null : mergedResultSha];
  const places = commits.flatMap((sha) => (sha === null ? [] : [{ gitlabProjectId, sha }]));
  const isOfFork = sourceGitlabProjectId !== null && sourceGitlabProjectId !== gitlabProjectId;
  if (isOfFork && headSha !== null) places.push({ gitlabProjectId: sourceGitlabProjectId, sha: headSha });
  return places;
}

function orGone(error: unknown): null {
  if (error instanceof GitlabNotFound) return null;
  throw error;
}

/** A fork is often hidden from us, or does not have the commit any more; and a project may have its pipelines switched off. */
function orHidden(error: unknown): 'hidden' {
  if (error instanceof GitlabNotFound || error instanceof GitlabForbidden) return 'hidden';
  throw error;
}
