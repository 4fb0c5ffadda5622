import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CommitAuthorsDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

export function createCommitAuthors(_dependencies: CommitAuthorsDependencies) {
  return {
    async updateCommitsAuthor(_payload: JobPayload<'updateCommitsAuthor'>, _context: JobContext): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('updateCommitsAuthor is not built yet'));
    },
  };
}
