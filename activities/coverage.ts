import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { JobClones } from './job-clones.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CoverageDependencies {
  db: ForgeflowDatabase;
  clones: JobClones;
}

export function createCoverage(_dependencies: CoverageDependencies) {
  return {
    async processCoverage(_payload: JobPayload<'processCoverage'>, _context: JobContext): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('processCoverage is not built yet'));
    },
  };
}
