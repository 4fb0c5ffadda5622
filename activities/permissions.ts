import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import type { JobPayload } from '../src/domain/job.ts';
import type { JobContext, JobOutcome } from './job-context.ts';
import { readRepositoryMembers } from './repository-members.ts';
import { readUserMemberships } from './user-memberships.ts';

export interface PermissionsDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

export function createPermissions({ db, gitlab }: PermissionsDependencies) {
  return {
    /**
     * Makes the permissions in a repository those of its members in GitLab, inherited ones too.
     * @throws ApplicationFailure `JobImpossible` where we do not track the repository, or GitLab hides its members
     */
    async updateRepositoryPermissions(
      { repositoryId }: JobPayload<'updateRepositoryPermissions'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      return readRepositoryMembers({ db, gitlab, repositoryId, signal });
    },

    /**
     * The same of one user, in every repository that we track.
     * @throws ApplicationFailure `JobImpossible` where we know no such user
     */
    async updateUserPermissions(
      { userId }: JobPayload<'updateUserPermissions'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      return readUserMemberships({ db, gitlab, userId, signal });
    },
  };
}
