import { keepBranches } from '../src/database/branches.ts';
import { authorOfEmail } from '../src/database/commit-authors.ts';
import {
  beginChecks,
  type BegunChecks,
  beginCommit,
  completeCommit,
  failCommit,
} from '../src/database/commit-progress.ts';
import { type Commit, findCommit, setChecksState, upsertCommit } from '../src/database/commits.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { findHeldReport } from '../src/database/coverage-reports.ts';
import { type JobRequest, requestJobs } from '../src/database/job-requests.ts';
import { findTracked, recordHead } from '../src/database/tracked-repositories.ts';
import { databaseTime } from '../src/database/turns.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { ManifestError } from '../src/domain/manifest-error.ts';
import { branchHeads } from '../src/git/commit-branches.ts';
import { defaultHead } from '../src/git/refs.ts';
import { jobFailure, permanentFailure } from './failures.ts';
import type { JobClones } from './job-clones.ts';
import type { JobContext, JobDone, JobOutcome } from './job-context.ts';
import type { JobControl } from './job-control.ts';
import { readCommit, type ReadCommit } from './read-commit.ts';

export interface CommitsDependencies {
  db: ForgeflowDatabase;
  clones: Pick<JobClones, 'use'>;
  control: Pick<JobControl, 'cancel'>;
}

const GONE: JobDone = { summary: 'there is no such commit any more' };

export function createCommits({ db, clones, control }: CommitsDependencies) {
  return {
    /**
     * Looks at a repository that was added, or of which a branch was pushed or deleted: its branches are those that GitLab
     * has, and the commit at the head of the default branch is processed, unless it was already.
     */
    async initializeRepository(
      { repositoryId }: JobPayload<'initializeRepository'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      const repository = await findTracked(db, repositoryId);
      if (repository === undefined) return { summary: 'it is not tracked any more' };
      const fetchedAt = await databaseTime(db);
      const { head, heads } = await clones.use(
        repository,
        async (clone) => ({ head: await defaultHead(clone), heads: await branchHeads(clone) }),
        signal,
      );
      const isKept = await keepBranches(db, { repositoryId, fetchedAt }, heads);
      if (isKept) await recordHead(db, repositoryId, { branch: head?.branch ?? null, sha: head?.commit ?? null });
      if (head === null) return { summary: 'the repository has no commits', branches: heads.size };
      const isAsked = await db.transaction().execute(async (transaction) => {
        const commit = await upsertCommit(transaction, { repositoryId, sha: head.commit });
        // One that is queued, or in progress, has its job.
        if (commit === undefined || !(commit.isNew || commit.state === 'errored')) return false;
        await requestJobs(transaction, [{ kind: 'processCommit', payload: { commitId: commit.id } }]);
        return true;
      });
      const what = isAsked ? 'is to be processed' : 'is known';
      return { summary: `${head.branch} at ${head.commit.slice(0, 8)} ${what}`, branches: heads.size };
    },

    /**
     * Brings a commit to our disk, links its author, reads its manifest and begins its checks; whatever is to know of it is
     * asked for. Done once more, its checks are run anew, and those of the time before are cancelled.
     * @throws what git or Postgres say; the commit is `errored` meanwhile, and GitLab is told
     */
    async processCommit({ commitId }: JobPayload<'processCommit'>, { signal }: JobContext): Promise<JobOutcome> {
      const commit = await findCommit(db, commitId);
      const repository = commit && (await findTracked(db, commit.repositoryId));
      if (commit === undefined || repository === undefined || !(await beginCommit(db, commitId))) return GONE;
      const fetchedAt = await databaseTime(db);
      try {
        const { heads, found } = await clones.use(repository, (clone) => readCommit(clone, commit.sha), signal);
        await keepBranches(db, { repositoryId: repository.id, fetchedAt }, heads);
        if (found !== null) return await complete(commit, found, signal);
      } catch (error) {
        // An attempt that was broken off says nothing of the commit: it is another one's, or nobody's any more.
        if (!signal.aborted) await fail(commit, jobFailure(error, 0).message).catch(() => undefined);
        throw error;
      }
      return missing(commit);
    },
  };

  async function complete(commit: Commit, found: ReadCommit, signal: AbortSignal): Promise<JobDone> {
    const begun = await db.transaction().execute(async (transaction) => {
      const authorId = await authorOfEmail(transaction, found.details.authorEmail);
      const isThere = await completeCommit(transaction, commit.id, {
        ...found.details,
        sizeBytes: found.sizeBytes,
        authorId,
      });
      if (!isThere) return undefined;
      const checks = await beginChecksOf(transaction, commit.id, found.manifest);
      await requestJobs(transaction, await requestsAfter(transaction, commit, checks.ids));
      return { ...checks, authorId };
    });
    if (begun === undefined) return GONE;
    // A check whose row is gone ends by itself; this ends it at once, where it is not over already.
    for (const id of begun.superseded) await control.cancel(`runCheck/check/${id}`, signal).catch(() => undefined);
    return {
      summary: summaryOf(found.manifest, begun.ids.length),
      checks: begun.ids.length,
      sizeBytes: found.sizeBytes,
      authorId: begun.authorId,
    };
  }

  async function beginChecksOf(
    transaction: ForgeflowDatabase,
    commitId: number,
    manifest: ReadCommit['manifest'],
  ): Promise<BegunChecks> {
    const plugins =
      manifest === null || manifest instanceof ManifestError ? [] : manifest.checks.map((one) => one.plugin);
    const begun = await beginChecks(transaction, commitId, plugins);
    if (manifest instanceof ManifestError) await setChecksState(transaction, commitId, 'error', manifest.message);
    else if (plugins.length === 0) await setChecksState(transaction, commitId, 'not_configured');
    return begun;
  }

  async function requestsAfter(
    transaction: ForgeflowDatabase,
    { id: commitId, repositoryId, sha }: Commit,
    checks: readonly number[],
  ): Promise<JobRequest[]> {
    const report = await findHeldReport(transaction, repositoryId, sha);
    return [
      { kind: 'postCommitStatuses', payload: { commitId } },
      ...checks.map((checkId): JobRequest => ({ kind: 'runCheck', payload: { checkId } })),
      ...(report === undefined ? [] : [{ kind: 'processCoverage' as const, payload: { repositoryId, sha, report } }]),
      { kind: 'computeRepositoryCommitsSize', payload: { repositoryId } },
    ];
  }

  async function fail({ id: commitId }: Commit, failure: string): Promise<void> {
    await db.transaction().execute(async (transaction) => {
      if (!(await failCommit(transaction, commitId, failure))) return;
      await requestJobs(transaction, [{ kind: 'postCommitStatuses', payload: { commitId } }]);
    });
  }

  /** It was pushed away before it was fetched, so GitLab is told nothing either, which has it in no branch. */
  async function missing({ id, sha }: Commit): Promise<never> {
    const failure = `GitLab has no commit ${sha.slice(0, 8)} in any branch any more`;
    await failCommit(db, id, failure);
    throw permanentFailure(failure);
  }
}

function summaryOf(manifest: ReadCommit['manifest'], checks: number): string {
  if (manifest instanceof ManifestError) return `its manifest is wrong in line ${manifest.line}`;
  if (checks === 0) return 'no checks are configured';
  return checks === 1 ? '1 check begun' : `${checks} checks begun`;
}
