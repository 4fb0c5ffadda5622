import { sumCommitSizes } from '../src/database/commit-progress.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { JobPayload } from '../src/domain/job.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CommitsSizeDependencies {
  db: ForgeflowDatabase;
}

export function createCommitsSize({ db }: CommitsSizeDependencies) {
  return {
    /** What all commits of a repository take that were cloned, each by itself: what two have in common counts twice. */
    async computeRepositoryCommitsSize(
      { repositoryId }: JobPayload<'computeRepositoryCommitsSize'>,
      _context: JobContext,
    ): Promise<JobOutcome> {
      const bytes = await sumCommitSizes(db, repositoryId);
      if (bytes === undefined) return { summary: 'it is not tracked any more' };
      return { summary: `its commits take ${bytes} bytes`, bytes };
    },
  };
}
