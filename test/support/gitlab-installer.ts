import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { InstallResult } from '../../src/domain/install-run.ts';
import { freePort } from '../../src/free-port.ts';
import { FORGEFLOW_QUEUE } from '../../src/temporal/task-queues.ts';
import type { InstallInput, installGitLabWebhooks } from '../../workflows/install-gitlab-webhooks.ts';
import { type Environment, type EnvironmentOptions, startEnvironment } from './environment.ts';
import { type GitlabOptions, startGitlab } from './gitlab/index.ts';
import { type HookWorld, listenAsIngress } from './gitlab-hook-world.ts';

export interface InstallerOptions extends EnvironmentOptions {
  gitlab?: GitlabOptions;
}

export interface Run {
  handle: WorkflowHandle<typeof installGitLabWebhooks>;
  result: Promise<InstallResult>;
}

/** All of forgeflow, a GitLab, and an ingress that the hooks in it reach. */
export interface InstallerEnvironment extends Environment, HookWorld {
  /** Starts a run past the schedule, which takes its time. */
  start(input?: InstallInput): Promise<Run>;
  run(input?: InstallInput): Promise<InstallResult>;
}

/** No run but those that the test starts. */
const NEVER = '0 0 29 2 *';

export async function startInstallerEnvironment({
  gitlab: gitlabOptions,
  settings = {},
  ...options
}: InstallerOptions = {}): Promise<InstallerEnvironment> {
  const [gitlab, port] = await Promise.all([startGitlab(gitlabOptions), freePort()]);
  const ingressUrl = `http://127.0.0.1:${port}`;
  const environment = await startEnvironment({
    ...options,
    settings: {
      GITLAB_URL: gitlab.url,
      GITLAB_TOKEN: gitlab.token,
      INGRESS_URL: ingressUrl,
      GITLAB_INSTALL_CRON: NEVER,
      ...settings,
    },
  }).catch(async (error: unknown) => {
    await gitlab.close();
    throw error;
  });
  const { db } = environment.database;
  const ingress = await listenAsIngress(db, port);

  async function start(input: InstallInput = {}): Promise<Run> {
    const { workflow } = environment.forgeflow.temporal;
    const handle = await workflow.start<typeof installGitLabWebhooks>('installGitLabWebhooks', {
      workflowId: `installGitLabWebhooks/${randomUUID()}`,
      taskQueue: FORGEFLOW_QUEUE,
      args: [input],
    });
    const result = handle.result();
    result.catch(() => undefined); // seen by whoever waits for it
    return { handle, result };
  }

  return {
    ...environment,
    gitlab,
    db,
    ingressUrl,
    start,
    run: async (input) => (await start(input)).result,
    async stop() {
      await environment.stop();
      await ingress.stop();
      await gitlab.close();
    },
  };
}
