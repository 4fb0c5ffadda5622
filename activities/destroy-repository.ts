import type { ArtefactCache } from '../src/cache/artefact-cache.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import type { JobClones } from './job-clones.ts';
import type { JobControl } from './job-control.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface DestructionDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
  clones: JobClones;
  cache: ArtefactCache | null;
  control: JobControl;
}

export function createDestruction(_dependencies: DestructionDependencies) {
  return {
    async destroyRepository(_payload: JobPayload<'destroyRepository'>, _context: JobContext): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('destroyRepository is not built yet'));
    },
  };
}
