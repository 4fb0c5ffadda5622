import type { ArtefactCache } from '../src/cache/artefact-cache.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { permanentFailure } from './failures.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CacheEvictionDependencies {
  db: ForgeflowDatabase;
  /** Null: it is off. */
  cache: ArtefactCache | null;
  cacheQuotaBytes: number;
}

export function createCacheEviction(_dependencies: CacheEvictionDependencies) {
  return {
    async requestCacheEviction(
      _payload: JobPayload<'requestCacheEviction'>,
      _context: JobContext,
    ): Promise<JobOutcome> {
      return Promise.reject(permanentFailure('requestCacheEviction is not built yet'));
    },
  };
}
