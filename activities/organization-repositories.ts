import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface OrganizationRepositoriesDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

export function createOrganizationRepositories(_dependencies: OrganizationRepositoriesDependencies) {
  return {
    async updateOrganizationRepositories(
      _payload: JobPayload<'updateOrganizationRepositories'>,
      _context: JobContext,
    ): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('updateOrganizationRepositories is not built yet'));
    },
  };
}
