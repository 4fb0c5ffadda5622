import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { JobClones } from './job-clones.ts';
import type { JobControl } from './job-control.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CommitsDependencies {
  db: ForgeflowDatabase;
  clones: JobClones;
  control: JobControl;
}

export function createCommits(_dependencies: CommitsDependencies) {
  return {
    async initializeRepository(
      _payload: JobPayload<'initializeRepository'>,
      _context: JobContext,
    ): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('initializeRepository is not built yet'));
    },

    async processCommit(_payload: JobPayload<'processCommit'>, _context: JobContext): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('processCommit is not built yet'));
    },
  };
}
