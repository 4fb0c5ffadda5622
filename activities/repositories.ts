import { ApplicationFailure } from '@temporalio/common';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { requestJobs } from '../src/database/job-requests.ts';
import { trackRepository, untrackRepository } from '../src/database/tracked-repositories.ts';
import type { JobClones } from './job-clones.ts';

export interface RepositoriesDependencies {
  db: ForgeflowDatabase;
  clones: JobClones;
}

export interface TrackRequest {
  repositoryId: number;
  /** Left out: as it was; null: as GitLab's own rules say. */
  requiredApprovals?: number | null | undefined;
}

export type RepositoryRecords = ReturnType<typeof createRepositoryRecords>;
export type RepositoryClones = ReturnType<typeof createRepositoryClones>;

export function createRepositoryRecords({ db }: Pick<RepositoriesDependencies, 'db'>) {
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
        ]);
      });
    },

    /** All that is known of it goes, but for its webhook. Nothing happens where it is not tracked. */
    async untrackRepository(repositoryId: number): Promise<void> {
      await untrackRepository(db, repositoryId);
    },
  };
}

export function createRepositoryClones({ clones }: Pick<RepositoriesDependencies, 'clones'>) {
  return {
    /** Takes the clone of a repository off this machine. */
    async removeClone(repositoryId: number): Promise<void> {
      await clones.remove(repositoryId);
    },
  };
}
