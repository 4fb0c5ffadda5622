import { ApplicationFailure } from '@temporalio/common';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { requestJobs } from '../src/database/job-requests.ts';
import { trackRepository } from '../src/database/tracked-repositories.ts';

export interface RepositoriesDependencies {
  db: ForgeflowDatabase;
}

export interface TrackRequest {
  repositoryId: number;
  /** Left out: as it was; null: as GitLab's own rules say. */
  requiredApprovals?: number | null | undefined;
}

export type RepositoryRecords = ReturnType<typeof createRepositoryRecords>;

export function createRepositoryRecords({ db }: RepositoriesDependencies) {
  return {
    /** Tracks a repository from now on, and asks for the jobs that find out all there is to know of it. */
    async trackRepository({ repositoryId, requiredApprovals }: TrackRequest): Promise<void> {
      await db.transaction().execute(async (transaction) => {
        const tracked = await trackRepository(transaction, repositoryId, { requiredApprovals });
        if (tracked === undefined)
          throw ApplicationFailure.nonRetryable(`repository ${repositoryId} is gone`, 'NotInGitLab');
        await requestJobs(transaction, [
          { kind: 'sync_merge_requests', payload: { repositoryId } },
          { kind: 'reindex_search', payload: { repositoryId } },
          { kind: 'initializeRepository', payload: { repositoryId } },
          { kind: 'updateRepositoryPermissions', payload: { repositoryId } },
        ]);
      });
    },
  };
}
