import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { MergeRequestRecord } from '../src/database/merge-request-records.ts';
import { type ComputedMergeability, writeMergeability } from '../src/database/merge-request-results.ts';
import { findMergeRequest } from '../src/database/merge-requests.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { mergeability, type TrialMerge } from '../src/domain/merge-state.ts';
import type { Clone } from '../src/git/clone.ts';
import { aheadBehind, type DiffStatistics, diffStatistics, hasMergeCommits, type Sides } from '../src/git/compare.ts';
import { GitError } from '../src/git/git-error.ts';
import { trialMerge } from '../src/git/merge.ts';
import { branchHead, mergeRequestHead } from '../src/git/refs.ts';
import { type JobClones, NotTracked } from './job-clones.ts';
import type { JobContext, JobDone } from './job-context.ts';

export interface MergeabilityDependencies {
  db: ForgeflowDatabase;
  clones: JobClones;
}

export function createMergeability({ db, clones }: MergeabilityDependencies) {
  return {
    /**
     * Tries the merge of a merge request, and writes what it comes to, unless its branches have moved meanwhile: whoever
     * moved them has asked for it again.
     * @throws GitError, ConfigError that names the setting
     */
    async recompute_mergeability(
      { mergeRequestId }: JobPayload<'recompute_mergeability'>,
      { signal }: JobContext,
    ): Promise<JobDone> {
      const found = await findMergeRequest(db, mergeRequestId);
      if (found === undefined) return { summary: 'there is no such merge request, or its repository is not tracked' };
      if (found.state !== 'opened') return { summary: `nothing to do: it is ${found.state}` };
      const computed = await clones
        .use(found.repository, (clone) => compute(clone, found), signal)
        .catch(noneIfNotTracked);
      const name = `${found.repository.path}!${found.iid}`;
      if (computed === null) return { summary: `nothing to do: ${found.repository.path} is not tracked any more` };
      const { state, mergeable, ahead, behind } = computed;
      if (!(await writeMergeability(db, found, computed)))
        return { summary: `${name} has changed meanwhile; the result is not kept`, isOutdated: true };
      return { summary: `${name} is ${state}${distance(computed)}`, state, mergeable, ahead, behind };
    },
  };
}

function noneIfNotTracked(error: unknown): null {
  if (error instanceof NotTracked) return null;
  throw error;
}

async function compute(clone: Clone, found: MergeRequestRecord): Promise<ComputedMergeability> {
  const [head, base] = await Promise.all([headOf(clone, found), branchHead(clone, found.targetBranch)]);
  const facts = { isDraft: found.isDraft, headExists: head !== null, baseExists: base !== null };
  if (head === null || base === null) {
    const nothing = { ahead: null, behind: null, changedFiles: null, additions: null, deletions: null };
    return { ...mergeability({ ...facts, trial: null }), ...nothing, headSha: head, baseSha: base, at: new Date() };
  }
  const { trial, files, additions, deletions } = await compare(clone, { base, head });
  return {
    ...mergeability({ ...facts, trial }),
    ahead: trial.ahead,
    behind: trial.behind,
    changedFiles: files,
    additions,
    deletions,
    headSha: head,
    baseSha: base,
    at: new Date(),
  };
}

async function compare(clone: Clone, sides: Sides): Promise<{ trial: TrialMerge } & DiffStatistics> {
  try {
    const merged = await trialMerge(clone, sides);
    const distance = await aheadBehind(clone, sides);
    const trial = { isClean: merged.clean, ...distance, hasMergeCommits: await hasMergeCommits(clone, sides) };
    return { trial, ...(await diffStatistics(clone, sides)) };
  } catch (error) {
    // The commits were there a moment ago: another job has made the clone anew, and who tries again finds the new ones.
    if (error instanceof GitError && error.kind === 'not_found') throw new GitError('failed', error.message);
    throw error;
  }
}

/** Null where its branch is gone. */
async function headOf(clone: Clone, { sourceGitlabProjectId, repository, sourceBranch, iid }: MergeRequestRecord) {
  if (sourceGitlabProjectId === null) return null;
  // The ref of a merge request outlives its branch, so it is asked only where the branch is in a fork, unseen from here.
  if (sourceGitlabProjectId === repository.gitlabId) return branchHead(clone, sourceBranch);
  return mergeRequestHead(clone, iid);
}

function distance({ ahead, behind }: ComputedMergeability): string {
  return ahead === null || behind === null ? ': a branch is missing' : `, ${ahead} ahead and ${behind} behind`;
}
