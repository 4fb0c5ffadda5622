import { isDeepStrictEqual } from 'node:util';
import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleDescription,
  ScheduleNotFoundError,
  type ScheduleOptions,
  ScheduleOverlapPolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { installGitLabWebhooks } from '../../workflows/install-gitlab-webhooks.ts';
import { stateKey } from '../../workflows/search-attributes.ts';
import type { requestUpkeep } from '../../workflows/request-upkeep.ts';
import type { sweepDeliveries } from '../../workflows/sweep-deliveries.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../logging.ts';
import { FORGEFLOW_QUEUE } from './task-queues.ts';

export const INSTALL_SCHEDULE = 'installGitLabWebhooks';
export const SWEEP_SCHEDULE = 'sweepDeliveries';
export const UPKEEP_SCHEDULE = 'upkeep';

/** While people sleep who wait for GitLab too: 03:17 UTC. */
const UPKEEP_CRON = '17 3 * * *';

/** Never two runs at once; and what was missed while Temporal was away needs no run of its own. */
const ONE_AT_A_TIME = { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: '1 minute' } as const;

/** The note of a schedule that we paused ourselves; any other is somebody's own. */
const NO_GITLAB = 'GITLAB_URL is not set';

/** By which we know a schedule for ours, also one that is no longer in the code. */
const OURS = { managedBy: 'forgeflow' };

/** What became of a schedule when Temporal was reconciled with the code. */
export interface ScheduleChange {
  schedule: string;
  change: 'created' | 'updated' | 'unchanged' | 'removed';
  /** Why it does not run; null when it does. */
  paused: string | null;
}

interface Schedule extends Omit<ScheduleOptions, 'state' | 'memo' | 'scheduleId'> {
  id: string;
  /** Why it cannot run with these settings; it is kept paused as long as it has one. */
  obstacle: string | null;
}

/** All schedules there are. */
function schedulesOf(config: Config): Schedule[] {
  return [
    {
      id: INSTALL_SCHEDULE,
      spec: { cronExpressions: [config.gitlabInstallCron] },
      action: {
        type: 'startWorkflow',
        workflowType: 'installGitLabWebhooks' satisfies keyof { installGitLabWebhooks: typeof installGitLabWebhooks },
        workflowId: 'installGitLabWebhooks', // Temporal adds the time
        taskQueue: FORGEFLOW_QUEUE,
        args: [{}],
        staticSummary: 'webhooks of all repositories',
        typedSearchAttributes: [{ key: stateKey, value: 'running' }],
      },
      policies: ONE_AT_A_TIME,
      obstacle: config.gitlabUrl === undefined ? NO_GITLAB : null,
    },
    {
      id: SWEEP_SCHEDULE,
      spec: { intervals: [{ every: '1 hour' }] },
      action: {
        type: 'startWorkflow',
        workflowType: 'sweepDeliveries' satisfies keyof { sweepDeliveries: typeof sweepDeliveries },
        workflowId: 'sweepDeliveries',
        taskQueue: FORGEFLOW_QUEUE,
        args: [], // how long what is over is kept, the workers know
        staticSummary: 'deliveries and events older than their retention',
      },
      policies: ONE_AT_A_TIME,
      obstacle: null,
    },
    {
      id: UPKEEP_SCHEDULE,
      spec: { cronExpressions: [UPKEEP_CRON] },
      action: {
        type: 'startWorkflow',
        workflowType: 'requestUpkeep' satisfies keyof { requestUpkeep: typeof requestUpkeep },
        workflowId: 'requestUpkeep',
        taskQueue: FORGEFLOW_QUEUE,
        args: [],
        staticSummary: 'listings, permissions and emails whose events may have been missed',
      },
      // One that was missed while Temporal was away is made up for: the next is a day off.
      policies: { ...ONE_AT_A_TIME, catchupWindow: '12 hours' },
      obstacle: config.gitlabUrl === undefined ? NO_GITLAB : null,
    },
  ];
}

/**
 * Makes Temporal's schedules those of the code: makes the missing, corrects the others, removes what is no longer there. One
 * that somebody paused stays paused.
 */
export async function syncSchedules(client: Client, config: Config): Promise<ScheduleChange[]> {
  const wanted = schedulesOf(config);
  const changes: ScheduleChange[] = [];
  for (const schedule of wanted) changes.push(await syncSchedule(client, schedule));
  for await (const { scheduleId, memo } of client.schedule.list()) {
    if (memo?.['managedBy'] !== OURS.managedBy || wanted.some(({ id }) => id === scheduleId)) continue;
    await client.schedule.getHandle(scheduleId).delete();
    changes.push({ schedule: scheduleId, change: 'removed', paused: null });
  }
  return changes;
}

async function syncSchedule(client: Client, { id, obstacle, ...options }: Schedule): Promise<ScheduleChange> {
  const state = { paused: obstacle !== null, ...(obstacle !== null && { note: obstacle }) };
  try {
    await client.schedule.create({ scheduleId: id, ...options, state, memo: OURS });
    return { schedule: id, change: 'created', paused: obstacle };
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
  const handle = client.schedule.getHandle(id);
  const before = await handle.describe();
  const pausedByUs = before.state.paused && before.state.note === NO_GITLAB;
  const pausedByHand = before.state.paused && !pausedByUs;
  await handle.update(() => ({ ...options, state: pausedByHand ? before.state : state }));
  const after = await handle.describe();
  return {
    schedule: id,
    change: isDeepStrictEqual(definitionOf(before), definitionOf(after)) ? 'unchanged' : 'updated',
    paused: after.state.paused ? (after.state.note ?? 'paused') : null,
  };
}

/** As plain values: the server puts the keys of its maps in any order. */
function definitionOf({ raw }: ScheduleDescription): unknown {
  return JSON.parse(JSON.stringify(raw.schedule));
}

const TRIGGERED_WITHIN_MS = 5_000;

/**
 * Has the schedule start a sweep now, where it is there, nobody paused it, and none is under way. It never throws: a worker that
 * starts does its work without a sweep as well, and the next full hour has one.
 */
export async function sweepAtStart(client: Client, logger: Logger): Promise<void> {
  const schedule = client.schedule.getHandle(SWEEP_SCHEDULE);
  try {
    await client.withDeadline(Date.now() + TRIGGERED_WITHIN_MS, async () => {
      const { state } = await schedule.describe();
      if (!state.paused) await schedule.trigger(ScheduleOverlapPolicy.SKIP);
    });
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError))
      logger.debug('no sweep could be started', { problem: String(error) });
  }
}

/** How a schedule stands. Times are ISO 8601, absent is null. */
export interface ScheduleStatus {
  schedule: string;
  /** Why it does not run; null when it does. */
  paused: string | null;
  lastRunAt: string | null;
  /** `running`, `completed`, `failed`, … */
  lastRun: string | null;
  nextRunAt: string | null;
}

/** Those of ours that Temporal has, by their names. */
export async function describeSchedules(client: Client): Promise<ScheduleStatus[]> {
  const found: ScheduleStatus[] = [];
  for await (const { scheduleId, memo, state, info } of client.schedule.list()) {
    if (memo?.['managedBy'] !== OURS.managedBy) continue;
    const last = info.recentActions.at(-1);
    found.push({
      schedule: scheduleId,
      paused: state.paused ? (state.note ?? 'paused') : null,
      lastRunAt: last?.takenAt.toISOString() ?? null,
      lastRun: last === undefined ? null : await statusOf(client, last.action.workflow.workflowId),
      nextRunAt: state.paused ? null : (info.nextActionTimes[0]?.toISOString() ?? null),
    });
  }
  return found.sort((one, other) => one.schedule.localeCompare(other.schedule));
}

/** Null for one that Temporal no longer remembers. */
async function statusOf(client: Client, workflowId: string): Promise<string | null> {
  try {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    return status.name.toLowerCase();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}
