import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface PermissionsDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

export function createPermissions(_dependencies: PermissionsDependencies) {
  return {
    async updateRepositoryPermissions(
      _payload: JobPayload<'updateRepositoryPermissions'>,
      _context: JobContext,
    ): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('updateRepositoryPermissions is not built yet'));
    },

    async updateUserPermissions(
      _payload: JobPayload<'updateUserPermissions'>,
      _context: JobContext,
    ): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('updateUserPermissions is not built yet'));
    },
  };
}
