import { setTimeout as sleep } from 'node:timers/promises';
import type { ArtefactCache } from '../src/cache/artefact-cache.ts';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { deleteRepository } from '../src/database/destroy-repository.ts';
import { findHookOfRepository, readHook, withHookLock } from '../src/database/gitlab-hooks.ts';
import { findRepository } from '../src/database/repositories.ts';
import { untrackRepository } from '../src/database/tracked-repositories.ts';
import type { JobPayload } from '../src/domain/job.ts';
import { hookIsBusy } from './failures.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { removeHookOf } from './gitlab-hook-removal.ts';
import type { JobClones } from './job-clones.ts';
import type { JobContext, JobOutcome, JobPostponed } from './job-context.ts';
import type { JobControl } from './job-control.ts';

export interface DestructionDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
  clones: JobClones;
  cache: ArtefactCache | null;
  control: JobControl;
}

/** How long an installer is waited for that has the webhook in hand, and how often it is looked. */
const HOOK_FREE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 250;

export function createDestruction({ db, gitlab, clones, cache, control }: DestructionDependencies) {
  return {
    /**
     * Leaves nothing of a repository. Each step does no harm when it is done again, and the row goes last but for what is
     * found without it: whoever is killed on the way is followed by one that ends the same.
     */
    async destroyRepository(
      { repositoryId: id }: JobPayload<'destroyRepository'>,
      { signal }: JobContext,
    ): Promise<JobOutcome> {
      const repository = await findRepository(db, id);
      if (repository !== undefined) await untrackRepository(db, id); // first: jobs write nothing from now on
      const jobs = await control.cancelAllOf(id, signal);
      await clones.remove(id);
      await cache?.purge(id, signal);
      const postponed = await removeRow(id, signal);
      if (postponed !== undefined) return postponed;
      const executions = await control.forgetAllOf(id, signal);
      const name = repository?.path ?? `repository ${id}`;
      return { summary: `nothing is left of ${name}`, cancelledJobs: jobs, forgottenExecutions: executions };
    },
  };

  /** With its webhook, which no installer has in hand meanwhile: it would make it anew. */
  async function removeRow(id: number, signal: AbortSignal): Promise<JobPostponed | undefined> {
    const hook = await findHookOfRepository(db, id);
    if (hook === undefined) return deleteRow(db, id);
    for (const until = Date.now() + HOOK_FREE_WITHIN_MS; Date.now() < until;) {
      const done = await withHookLock(db, hook.id, async (connection) => {
        const record = await readHook(connection, hook.id);
        const postponed = record && (await removeHookOf(gitlab, record, signal));
        return postponed ?? deleteRow(connection, id);
      });
      if (done !== 'busy') return done;
      await sleep(LOOK_EVERY_MS, undefined, { signal });
    }
    throw hookIsBusy();
  }
}

/** @throws Error, so that all is done once more, where somebody has tracked it meanwhile: there may be a clone again */
async function deleteRow(db: ForgeflowDatabase, id: number): Promise<undefined> {
  if (!(await deleteRepository(db, id))) throw new Error(`repository ${id} was tracked again while it was removed`);
}
