import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createGitlabAccess } from '../../activities/gitlab-access.ts';
import { createGitlabHooks } from '../../activities/gitlab-hooks.ts';
import { createGitlabListing, type GitlabIdentity } from '../../activities/gitlab-listing.ts';
import { createGitlabRuns } from '../../activities/gitlab-runs.ts';
import { loadConfig } from '../../src/config.ts';
import type { InstallResult, Interruption } from '../../src/domain/install-run.ts';
import { createGitlabClient } from '../../src/gitlab/client.ts';
import type { HookWorld } from './gitlab-hook-world.ts';

export interface InstallerParts extends Omit<HookWorld, 'gitlab'> {
  gitlab: { url: string; token: string };
  /** Of one request. */
  timeoutMs?: number;
  /** More settings, as environment variables. */
  settings?: Record<string, string>;
}

export interface RunOptions {
  /** The workflow's clock. */
  at?: Date;
  repository?: string;
  /** Where the activities run; one that is cancelled ends the run. */
  environment?: MockActivityEnvironment;
}

/** The installer's activities, without Temporal. */
export function createInstaller({ db, sealer, gitlab, ingressUrl, timeoutMs, settings = {} }: InstallerParts) {
  const variables = { GITLAB_URL: gitlab.url, GITLAB_TOKEN: gitlab.token, INGRESS_URL: ingressUrl, ...settings };
  const config = loadConfig(variables, tmpdir());
  const access = createGitlabAccess(config, (where) => createGitlabClient({ ...where, timeoutMs }));
  const activities = {
    ...createGitlabHooks({ db, sealer, gitlab: access }),
    ...createGitlabListing({ db, gitlab: access }),
    ...createGitlabRuns({ db }),
  };

  /** As the workflow goes about it, but for retries. @throws ApplicationFailure of an activity, when the run is closed */
  async function run({
    at: time = new Date(),
    repository,
    environment = new MockActivityEnvironment(),
  }: RunOptions = {}): Promise<InstallResult> {
    const runId = randomUUID();
    const at = time.toISOString();
    const single = repository !== undefined;
    const close = (interruption: Interruption | null, error: string | null): Promise<InstallResult> =>
      activities.closeGitlabRun({ runId, at, single, interruption, error });
    const step = <T>(work: () => Promise<T>): Promise<T> => environment.run<[], T, typeof work>(work);
    await activities.openGitlabRun({ runId, workflowId: runId, repository: repository ?? null, at });
    try {
      const identity = await step(() => activities.identify());
      if ('endedEarly' in identity) return await close(identity, null);
      return await close(await installAll(identity), null);
    } catch (error) {
      await close(null, error instanceof Error ? error.message : 'unknown');
      throw error;
    }

    async function installAll(identity: GitlabIdentity): Promise<Interruption | null> {
      const request = { runId, userId: identity.userId, at };
      if (single) {
        const found = await step(() => activities.findRepository(repository, at));
        if ('endedEarly' in found) return found;
        return (await step(() => activities.installOne(found.hookId, request))).interruption;
      }
      for (;;) {
        const page = await step(() => activities.listPage(identity, at));
        if ('endedEarly' in page) return page;
        if (page.complete) break;
      }
      const { group } = identity;
      if (group !== null) {
        const { interruption } = await step(() => activities.installOne(group.hookId, request));
        if (interruption !== null) return interruption;
        await step(() => activities.coverGroup(group, at));
      }
      for (;;) {
        const { done, remaining, interruption } = await step(() => activities.installPage(request));
        if (interruption !== null || done === 0 || remaining === 0) return interruption;
      }
    }
  }

  return { activities, run, close: () => access.close() };
}
