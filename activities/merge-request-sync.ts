import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { requestJobs } from '../src/database/job-requests.ts';
import type { MergeRequestRecord } from '../src/database/merge-request-records.ts';
import { closeMergeRequest, listMergeRequests, upsertMergeRequest } from '../src/database/merge-requests.ts';
import { upsertRepositories } from '../src/database/repositories.ts';
import { findTracked, recordHead, type TrackedRepository } from '../src/database/tracked-repositories.ts';
import type { JobPayload } from '../src/domain/job.ts';
import type { MergeRequest } from '../src/domain/merge-request.ts';
import type { GitlabClient } from '../src/gitlab/client.ts';
import { GitlabBadAnswer, GitlabNotFound } from '../src/gitlab/errors.ts';
import type { ProjectDetails } from '../src/gitlab/shapes.ts';
import { permanentFailure } from './failures.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { askingGitlab } from './gitlab-jobs.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface MergeRequestSyncDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

export function createMergeRequestSync({ db, gitlab }: MergeRequestSyncDependencies) {
  return {
    /**
     * Brings what is known of a repository and its open merge requests to what GitLab says: of a repository that was just
     * added nothing is known, and events may have been missed. Asks for the jobs of each that is new, has changed, or was
     * never looked at.
     * @throws ApplicationFailure `JobImpossible` where we do not track the repository, or GitLab has it no more
     */
    async sync_merge_requests(
      { repositoryId }: JobPayload<'sync_merge_requests'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      const repository = await findTracked(db, repositoryId);
      if (repository === undefined) throw permanentFailure(`there is no tracked repository ${repositoryId}`);
      return askingGitlab(gitlab, async (client) => sync(db, client, repository, signal));
    },
  };
}

async function sync(
  db: ForgeflowDatabase,
  client: GitlabClient,
  repository: TrackedRepository,
  signal: AbortSignal,
): Promise<JobOutcome> {
  const project = await client.projectDetails(repository.gitlabId, signal).catch((error: unknown) => {
    if (error instanceof GitlabNotFound)
      throw permanentFailure(`GitLab has no repository ${repository.path}, or hides it from the token's account`);
    throw error;
  });
  await keepProject(db, repository, project);
  // Read before the list, so that one which is opened while GitLab is asked is not taken for one that is closed.
  const before = new Map(
    (await listMergeRequests(db, { repositoryId: repository.id, onlyOpen: true })).map((one) => [one.iid, one]),
  );
  const { mergeRequests, unreadable } = project.hasMergeRequests
    ? await client.openMergeRequests(repository.gitlabId, signal)
    : { mergeRequests: [], unreadable: [] };
  const counts = { added: 0, changed: 0, closed: 0, unreadable: unreadable.length };
  for (const found of mergeRequests) {
    signal.throwIfAborted();
    const came = await keep(db, found, before.get(found.iid));
    if (came !== 'same') counts[came]++;
    before.delete(found.iid);
  }
  for (const missing of before.values()) {
    const found = project.hasMergeRequests ? await lookAgain(client, missing, signal) : null;
    if (found === 'unreadable') continue; // counted in the list
    const isOpen = found === null ? !(await closeMergeRequest(db, missing)) : found.state === 'opened';
    if (found !== null) await keep(db, found, missing);
    if (!isOpen) counts.closed++;
  }
  const open = mergeRequests.length;
  return {
    summary: `${open} open: ${counts.added} new, ${counts.changed} changed; ${counts.closed} not open any more`,
    open,
    ...counts,
  };
}

/** A default branch that is another one than before is none that somebody has pushed to: its index has to be asked for. */
async function keepProject(
  db: ForgeflowDatabase,
  { id, defaultBranch }: TrackedRepository,
  project: ProjectDetails,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await upsertRepositories(transaction, [project], { groupId: null, at: new Date() });
    if (project.defaultBranch === defaultBranch) return;
    await recordHead(transaction, id, { branch: project.defaultBranch, sha: null });
    await requestJobs(transaction, [{ kind: 'reindex_search', payload: { repositoryId: id } }]);
  });
}

/** In a transaction of its own: nobody waits for a merge request while the others are kept. */
async function keep(
  db: ForgeflowDatabase,
  found: MergeRequest,
  known: MergeRequestRecord | undefined,
): Promise<'added' | 'changed' | 'same'> {
  return db.transaction().execute(async (transaction) => {
    const kept = await upsertMergeRequest(transaction, found);
    if (kept === undefined) return 'same';
    const hasChanged = kept.isNew || kept.changed.length > 0;
    const kinds = [
      ...(hasChanged || !known?.mergeability.at ? (['recompute_mergeability'] as const) : []),
      ...(hasChanged || !known?.decision.at ? (['recompute_review_decision'] as const) : []),
    ];
    const payload = { mergeRequestId: kept.id };
    // An event may have told of something newer since GitLab was asked.
    if (kept.isDoubtful)
      await requestJobs(transaction, [{ kind: 'sync_merge_requests', payload: { repositoryId: kept.repositoryId } }]);
    if (kept.state === 'opened')
      await requestJobs(
        transaction,
        kinds.map((kind) => ({ kind, payload })),
      );
    if (kept.isNew) return 'added';
    return hasChanged ? 'changed' : 'same';
  });
}

/**
 * One that was open and is not in the list: most often it was closed or merged, but a list that shifts between two pages can
 * pass over one, too.
 * @returns null where GitLab has it no more
 */
async function lookAgain(
  client: GitlabClient,
  { repository, iid }: MergeRequestRecord,
  signal: AbortSignal,
): Promise<MergeRequest | null | 'unreadable'> {
  try {
    return (await client.mergeRequest({ gitlabProjectId: repository.gitlabId, iid }, signal)).mergeRequest;
  } catch (error) {
    if (error instanceof GitlabNotFound) return null;
    if (error instanceof GitlabBadAnswer) return 'unreadable';
    throw error;
  }
}
