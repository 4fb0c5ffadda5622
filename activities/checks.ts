import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import type { JobClones } from './job-clones.ts';
import type { CheckRunner } from './check-runner.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface ChecksDependencies {
  db: ForgeflowDatabase;
  clones: JobClones;
  sealer: Sealer;
  checkRunner: CheckRunner;
}

export function createChecks(_dependencies: ChecksDependencies) {
  return {
    async runCheck(_payload: JobPayload<'runCheck'>, _context: JobContext): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('runCheck is not built yet'));
    },
  };
}
