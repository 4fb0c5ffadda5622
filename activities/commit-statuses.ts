import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CommitStatusesDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

export function createCommitStatuses(_dependencies: CommitStatusesDependencies) {
  return {
    async postCommitStatuses(_payload: JobPayload<'postCommitStatuses'>, _context: JobContext): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('postCommitStatuses is not built yet'));
    },
  };
}
