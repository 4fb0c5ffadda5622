import type { ArtefactCache } from '../src/cache/artefact-cache.ts';
import { planEviction } from '../src/domain/eviction.ts';
import type { JobPayload } from '../src/domain/job.ts';
import type { JobContext, JobOutcome } from './job-context.ts';

export interface CacheEvictionDependencies {
  /** Null: it is off. */
  cache: ArtefactCache | null;
  /** What a repository may keep there; 0: without limit. */
  cacheQuotaBytes: number;
}

/** What is used while it is looked at is passed over, and then looked at again. Whoever puts something asks for the job anew. */
const LOOKS = 10;

export function createCacheEviction({ cache, cacheQuotaBytes: quota }: CacheEvictionDependencies) {
  return {
    /** Takes the least recently used artefacts of a repository away, oldest first, until the rest fits into the quota. */
    async requestCacheEviction(
      { repositoryId }: JobPayload<'requestCacheEviction'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      const facts = { evicted: 0, freedBytes: 0 };
      if (cache === null) return { summary: 'the cache is off', ...facts, bytes: 0 };
      for (let look = 1; ; look++) {
        const cached = await cache.list(repositoryId, signal);
        const bytes = cached.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
        const plan = planEviction(cached, quota);
        if (plan.length === 0 || look > LOOKS) {
          const evicted = `${facts.evicted} ${facts.evicted === 1 ? 'artefact was' : 'artefacts were'} evicted`;
          return { summary: `${evicted}, ${bytes} bytes are kept`, ...facts, bytes };
        }
        for (const { key, lastUsedAt, sizeBytes } of plan) {
          signal.throwIfAborted();
          if (!(await cache.delete(repositoryId, key, lastUsedAt, signal))) continue;
          facts.evicted += 1;
          facts.freedBytes += sizeBytes;
        }
      }
    },
  };
}
