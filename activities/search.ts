import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { type SearchUpdate, updateSearchIndex } from '../src/database/search-update.ts';
import { findTracked } from '../src/database/tracked-repositories.ts';
import type { JobPayload } from '../src/domain/job.ts';
import type { Clone } from '../src/git/clone.ts';
import { defaultHead } from '../src/git/refs.ts';
import { permanentFailure } from './failures.ts';
import type { JobClones } from './job-clones.ts';
import type { JobContext, JobDone } from './job-context.ts';
import { indexedAnew, type IndexedAnew, planReindex } from './search-plan.ts';

export interface SearchDependencies {
  db: ForgeflowDatabase;
  clones: Pick<JobClones, 'use'>;
}

export interface Search {
  /**
   * Brings the code search index of a repository to the head of its default branch; only what changed since is read.
   * @returns the facts `files` that are indexed, `read` from git, `removed`, `truncated`
   * @throws GitError, and ApplicationFailure where the repository is not tracked
   */
  reindex_search(payload: JobPayload<'reindex_search'>, context: JobContext): Promise<JobDone>;
}

export function createSearch({ db, clones }: SearchDependencies): Search {
  return {
    async reindex_search({ repositoryId }, { signal }) {
      const repository = await findTracked(db, repositoryId);
      if (repository === undefined) throw notTracked(repositoryId);
      const reindexed = (clone: Clone) =>
        updateSearchIndex(db, repositoryId, (update) => reindex(update, clone), signal);
      const outcome = await clones.use(repository, reindexed, signal);
      if (outcome === null) throw notTracked(repositoryId);
      return outcome;
    },
  };
}

/** Whoever comes second has waited for the first, so the clone is looked at only now. */
async function reindex(update: SearchUpdate, clone: Clone): Promise<JobDone> {
  const { branch, commit } = (await defaultHead(clone)) ?? { branch: null, commit: null };
  if (!update.isNew && update.commit === commit) {
    await update.keepHead({ branch, commit });
    return done('the head is the one that is indexed', update, { read: 0, removed: 0 }, update.truncated);
  }
  if (commit === null) {
    const removed = update.files;
    await update.clear();
    await update.finish({ commit, branch, truncated: false });
    return done('the repository has no commits', update, { read: 0, removed }, false);
  }
  const plan = await planReindex(update, clone, commit);
  const counts = await indexedAnew(update, clone, plan);
  await update.finish({ commit, branch, truncated: plan.truncated });
  const { length } = plan.wanted;
  const what = length === 0 && counts.removed === 0 ? 'no file has changed' : `${length} files indexed`;
  return done(`${what} at ${commit.slice(0, 8)}`, update, counts, plan.truncated);
}

function done(summary: string, { files }: SearchUpdate, { read, removed }: IndexedAnew, truncated: boolean): JobDone {
  return { summary, files, read, removed, truncated };
}

function notTracked(repositoryId: number): Error {
  return permanentFailure(`there is no tracked repository ${repositoryId}; see "forgeflow repositories list"`);
}
