import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type ScheduleDescription,
  type Workflow,
  type WorkflowHandle,
  WorkflowIdConflictPolicy,
} from '@temporalio/client';
import type { installGitLabWebhooks } from '../../workflows/install-gitlab-webhooks.ts';
import type { syncGitLabRepositories } from '../../workflows/sync-gitlab-repositories.ts';
import { repositoryKey, stateKey } from '../../workflows/search-attributes.ts';
import type { Config } from '../config.ts';
import { INSTALL_SCHEDULE, syncSchedules } from './schedules.ts';
import { FORGEFLOW_QUEUE } from './task-queues.ts';

/** A run of a workflow: `runId` is the first of its chain, which is its name in the records. */
export interface StartedRun<W extends Workflow> {
  workflowId: string;
  runId: string;
  handle: WorkflowHandle<W>;
}

type Installation = StartedRun<typeof installGitLabWebhooks>;

/** How long the server may take to start what its schedule was told to. */
const TRIGGERED_WITHIN_MS = 15_000;

/**
 * Runs the installer now. It goes through the schedule, whose overlap policy keeps two runs from being under way at once; a
 * run that is under way already is the answer.
 */
export async function startInstallation(client: Client, config: Config): Promise<Installation> {
  const schedule = client.schedule.getHandle(INSTALL_SCHEDULE);
  const before = await schedule.describe().catch(async (error: unknown) => {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    await syncSchedules(client, config);
    return schedule.describe();
  });
  const known = new Set(runsOf(before).map(({ runId }) => runId));
  const running = await underWay(client, before);
  if (running !== undefined) return running;
  await schedule.trigger(ScheduleOverlapPolicy.SKIP);
  const deadline = Date.now() + TRIGGERED_WITHIN_MS;
  while (Date.now() < deadline) {
    const after = await schedule.describe();
    const started = runsOf(after).find(({ runId }) => !known.has(runId));
    if (started !== undefined) return installationOf(client, started);
    const other = await underWay(client, after);
    if (other !== undefined) return other;
    await sleep(100);
  }
  throw new Error(
    `the schedule ${INSTALL_SCHEDULE} was triggered, and Temporal started nothing; see its page in the Web UI`,
  );
}

/** Sees to one repository alone; a run for it that is under way already is the answer. @param path in GitLab */
export async function startInstallationOf(client: Client, path: string): Promise<Installation> {
  const workflowId = `installGitLabWebhooks/repository/${path}`;
  const handle = await client.workflow.start<typeof installGitLabWebhooks>('installGitLabWebhooks', {
    workflowId,
    taskQueue: FORGEFLOW_QUEUE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args: [{ repository: path }],
    staticSummary: `webhook of ${path}`,
    typedSearchAttributes: [
      { key: repositoryKey, value: path },
      { key: stateKey, value: 'running' },
    ],
  });
  return installationOf(client, { workflowId, runId: handle.firstExecutionRunId });
}

/** Lists the repositories now; a listing that is under way already is the answer. */
export async function startListing(client: Client): Promise<StartedRun<typeof syncGitLabRepositories>> {
  const workflowId = 'syncGitLabRepositories';
  const handle = await client.workflow.start<typeof syncGitLabRepositories>('syncGitLabRepositories', {
    workflowId,
    taskQueue: FORGEFLOW_QUEUE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args: [{}],
    staticSummary: 'repositories that GitLab lists',
    typedSearchAttributes: [{ key: stateKey, value: 'running' }],
  });
  return { workflowId, runId: handle.firstExecutionRunId, handle };
}

interface Execution {
  workflowId: string;
  runId: string;
}

function installationOf(client: Client, { workflowId, runId }: Execution): Installation {
  const options = { firstExecutionRunId: runId, followRuns: true };
  return {
    workflowId,
    runId,
    handle: client.workflow.getHandle<typeof installGitLabWebhooks>(workflowId, undefined, options),
  };
}

function runsOf({ info }: ScheduleDescription): Execution[] {
  return [...info.recentActions.map(({ action }) => action), ...info.runningActions].map(({ workflow }) => ({
    workflowId: workflow.workflowId,
    runId: workflow.firstExecutionRunId,
  }));
}

/** What the schedule takes for running may have ended a moment ago. */
async function underWay(client: Client, { info }: ScheduleDescription): Promise<Installation | undefined> {
  const running = info.runningActions[0]?.workflow;
  if (running === undefined) return undefined;
  const { workflowId, firstExecutionRunId: runId } = running;
  const installation = installationOf(client, { workflowId, runId });
  const { status } = await installation.handle.describe();
  return status.name === 'RUNNING' ? installation : undefined;
}
