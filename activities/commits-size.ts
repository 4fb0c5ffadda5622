import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CommitsSizeDependencies {
  db: ForgeflowDatabase;
}

export function createCommitsSize(_dependencies: CommitsSizeDependencies) {
  return {
    async computeRepositoryCommitsSize(
      _payload: JobPayload<'computeRepositoryCommitsSize'>,
      _context: JobContext,
    ): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('computeRepositoryCommitsSize is not built yet'));
    },
  };
}
