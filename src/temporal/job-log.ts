import {
  type Client,
  defaultPayloadConverter,
  type WorkflowExecutionInfo,
  type WorkflowExecutionStatusName,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import pLimit from 'p-limit';
import type { JobDone } from '../../activities/job-context.ts';
import type { JobDeath } from '../../workflows/messages.ts';
import { isJobKind, JOB_KINDS, type JobKind } from '../domain/job-kinds.ts';
import type { JobState } from '../domain/job-state.ts';

/** A job as Temporal knows it, for as long as the namespace keeps what is over. */
export interface JobEntry {
  jobId: string;
  kind: JobKind;
  /** What it was asked for with, last; null where it was started without one. */
  payload: unknown;
  state: JobState;
  /** At its last run, or so far. */
  attempts: number;
  /** Why it is dead, or why the last attempt of a running one failed. */
  error: string | null;
  startedAt: Date;
  finishedAt: Date | null;
}

export interface JobLogFilter {
  kind?: JobKind | undefined;
  state?: JobState | undefined;
  limit: number;
}

const STATUSES: Record<JobState, WorkflowExecutionStatusName[]> = {
  running: ['RUNNING', 'PAUSED'],
  completed: ['COMPLETED'],
  dead: ['FAILED', 'TIMED_OUT'],
  cancelled: ['CANCELLED', 'TERMINATED'],
};
/** As visibility queries have them. */
const NAMES: Partial<Record<WorkflowExecutionStatusName, string>> = {
  RUNNING: 'Running',
  PAUSED: 'Paused',
  COMPLETED: 'Completed',
  FAILED: 'Failed',
  TIMED_OUT: 'TimedOut',
  CANCELLED: 'Canceled',
  TERMINATED: 'Terminated',
};

/** Executions looked into at once. */
const AT_ONCE = 10;

/** Executions of jobs, newest first: one of a job that was run several times stands there several times. */
export async function listJobs(client: Client, { kind, state, limit }: JobLogFilter): Promise<JobEntry[]> {
  const found: WorkflowExecutionInfo[] = [];
  for await (const execution of client.workflow.list({ query: queryOf({ kind, state }) })) {
    found.push(execution);
    if (found.length === limit) break;
  }
  return entriesOf(client, found);
}

/** The jobs that are dead now, newest first: neither run again since, nor active again. */
export async function listDeadJobs(client: Client, limit: number): Promise<JobEntry[]> {
  const dead: WorkflowExecutionInfo[] = [];
  const seen = new Set<string>();
  for await (const execution of client.workflow.list({ query: queryOf({ state: 'dead' }) })) {
    if (seen.has(execution.workflowId)) continue;
    seen.add(execution.workflowId);
    const newest = await ifThere(client.workflow.getHandle(execution.workflowId).describe());
    if (newest?.runId === execution.runId) dead.push(execution);
    if (dead.length === limit) break;
  }
  return entriesOf(client, dead);
}

/** How many are active now, as visibility knows. */
export async function countActiveJobs(client: Client): Promise<number> {
  return (await client.workflow.count(queryOf({ state: 'running' }))).count;
}

/** The newest execution of a job; undefined where there is none of a kind that we know. */
export async function findJob(client: Client, jobId: string): Promise<JobEntry | undefined> {
  const execution = await ifThere(client.workflow.getHandle(jobId).describe());
  return execution !== undefined && isJobKind(execution.type) ? ifThere(entryOf(client, execution)) : undefined;
}

/** What is over is kept for a while, and a list may still show what is not there any more. */
async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** Those that were continued as new are left out: they are the beginning of another one. */
function queryOf({ kind, state }: Pick<JobLogFilter, 'kind' | 'state'>): string {
  const kinds = kind === undefined ? Object.keys(JOB_KINDS) : [kind];
  const statuses = (state === undefined ? Object.values(STATUSES).flat() : STATUSES[state]).flatMap(
    (name) => NAMES[name] ?? [],
  );
  return `WorkflowType in (${quoted(kinds)}) and ExecutionStatus in (${quoted(statuses)})`;
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(', ');
}

async function entriesOf(client: Client, executions: WorkflowExecutionInfo[]): Promise<JobEntry[]> {
  const limit = pLimit(AT_ONCE);
  const entries = await Promise.all(executions.map((one) => limit(() => ifThere(entryOf(client, one)))));
  return entries.filter((entry) => entry !== undefined);
}

type Execution = Pick<
  WorkflowExecutionInfo,
  'workflowId' | 'runId' | 'type' | 'status' | 'startTime' | 'closeTime' | 'memo'
>;

async function entryOf(client: Client, execution: Execution): Promise<JobEntry> {
  const { workflowId: jobId, status, startTime, closeTime, memo } = execution;
  const standing = await standingOf(client, execution);
  return {
    jobId,
    kind: execution.type as JobKind,
    payload: standing.payload ?? memo?.['payload'] ?? (await inputOf(client, execution)),
    state: (Object.keys(STATUSES) as JobState[]).find((state) => STATUSES[state].includes(status.name)) ?? 'running',
    attempts: standing.attempts,
    error: standing.error,
    startedAt: startTime,
    finishedAt: closeTime ?? null,
  };
}

interface Standing {
  attempts: number;
  error: string | null;
  payload?: unknown;
}

async function standingOf(client: Client, { workflowId, runId, status }: Execution): Promise<Standing> {
  const handle = client.workflow.getHandle(workflowId, runId, { followRuns: false });
  if (STATUSES.running.includes(status.name)) {
    const { raw } = await handle.describe();
    const activity = raw.pendingActivities?.[0];
    return { attempts: activity?.attempt ?? 0, error: activity?.lastFailure?.message ?? null };
  }
  try {
    const { attempts } = (await handle.result()) as JobDone;
    return { attempts: typeof attempts === 'number' ? attempts : 1, error: null };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    const death = cause instanceof ApplicationFailure ? (cause.details?.[0] as JobDeath | undefined) : undefined;
    const said = status.name === 'CANCELLED' ? null : (cause?.message ?? error.message);
    return { attempts: death?.attempts ?? 0, error: said, payload: death?.payload };
  }
}

/** What a workflow was started with, by whom ever. */
async function inputOf(client: Client, { workflowId, runId }: Execution): Promise<unknown> {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution: { workflowId, runId },
    maximumPageSize: 1,
  });
  const payload = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
  return payload ? defaultPayloadConverter.fromPayload(payload) : null;
}
