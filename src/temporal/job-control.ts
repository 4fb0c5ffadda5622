import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  WorkflowContinuedAsNewError,
  type WorkflowExecutionInfo,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import pLimit from 'p-limit';
import type { JobControl } from '../../activities/job-control.ts';
import { repositoryIdKey } from '../../workflows/search-attributes.ts';
import type { JobKind } from '../domain/job-kinds.ts';

/** A worker that was killed is found out after 20 seconds; what takes much longer will not end by itself. */
const ENDS_WITHIN_MS = 5 * 60_000;
/** The list of executions lags a little: what is not there after so long is not coming. */
const LOOK_EVERY_MS = 200;
const SETTLED_AFTER_MS = 1_000;
/** Executions that the server is asked about at once. */
const AT_ONCE = 20;
/** Its executions are the record that a repository was removed. */
const REMOVAL: JobKind = 'destroyRepository';

/** @param endsWithinMs how long each of the three waits at most */
export function createJobControl(client: Client, endsWithinMs = ENDS_WITHIN_MS): JobControl {
  return {
    cancel: async (jobId, signal) =>
      bounded(`the job ${jobId} did not end`, signal, async () => cancelAndWait(client, jobId)),

    cancelAllOf: async (repositoryId, signal) =>
      bounded(`the jobs of repository ${repositoryId} did not end`, signal, async (stop) => {
        const ended = new Set<string>();
        for (;;) {
          const active = await listOf(client, repositoryId, ACTIVE);
          if (active.length === 0) return ended.size;
          const ids = [...new Set(active.map(({ workflowId }) => workflowId))];
          await each(ids, (id) => askToCancel(client, id)); // all of them first, so that they end at the same time
          await each(ids, async (id) => {
            if (await cancelAndWait(client, id)) ended.add(id);
          });
          await sleep(LOOK_EVERY_MS, undefined, { signal: stop });
        }
      }),

    forgetAllOf: async (repositoryId, signal) =>
      bounded(`Temporal still keeps jobs of repository ${repositoryId}`, signal, async (stop) => {
        const forgotten = new Set<string>();
        for (let quietSince = Date.now(); Date.now() - quietSince < SETTLED_AFTER_MS;) {
          const kept = (await listOf(client, repositoryId)).filter(({ runId }) => !forgotten.has(runId));
          await each(kept.filter(isActive), ({ workflowId }) => cancelAndWait(client, workflowId));
          await each(kept, (one) => forget(client, one));
          for (const { runId } of kept) forgotten.add(runId);
          if (kept.length > 0) quietSince = Date.now();
          await sleep(LOOK_EVERY_MS, undefined, { signal: stop });
        }
        return forgotten.size;
      }),
  };

  /** What is asked of the server meanwhile is broken off too. */
  async function bounded<T>(
    problem: string,
    signal: AbortSignal | undefined,
    work: (stop: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const deadline = AbortSignal.timeout(endsWithinMs);
    const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
    setMaxListeners(0, stop); // each request under way is one
    try {
      return await client.withAbortSignal(stop, () => work(stop));
    } catch (error) {
      signal?.throwIfAborted();
      if (deadline.aborted) throw new Error(`${problem} within ${Math.round(endsWithinMs / 1000)} s`);
      throw error;
    }
  }
}

async function each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const limit = pLimit(AT_ONCE);
  await Promise.all(items.map((item) => limit(() => work(item))));
}

function isActive({ status }: Pick<WorkflowExecutionInfo, 'status'>): boolean {
  return status.name === 'RUNNING' || status.name === 'PAUSED';
}

/** Once more where it goes on as another run, since somebody had asked for it meanwhile. */
async function cancelAndWait(client: Client, jobId: string): Promise<boolean> {
  let wasActive = false;
  for (;;) {
    const newest = await ifThere(client.workflow.getHandle(jobId).describe());
    if (newest === undefined || !isActive(newest)) return wasActive;
    wasActive = true;
    const run = client.workflow.getHandle(jobId, newest.runId, { followRuns: false });
    await ifThere(run.cancel());
    await ifThere(run.result()).catch((error: unknown) => {
      const isOver = error instanceof WorkflowFailedError || error instanceof WorkflowContinuedAsNewError;
      if (!isOver) throw error;
    });
  }
}

async function askToCancel(client: Client, jobId: string): Promise<void> {
  await ifThere(client.workflow.getHandle(jobId).cancel());
}

/** The server takes the order at once, and carries it out when it has got over the execution's end: within half a minute. */
async function forget(client: Client, { workflowId, runId }: WorkflowExecutionInfo): Promise<void> {
  const { namespace } = client.options;
  await ifThere(
    client.workflowService
      .deleteWorkflowExecution({ namespace, workflowExecution: { workflowId, runId } })
      .catch((error: unknown) => {
        if (isNotFound(error)) return undefined; // the list lags
        throw error;
      }),
  );
}

const NOT_FOUND = 5; // as gRPC has it

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === NOT_FOUND;
}

const ACTIVE = "and ExecutionStatus in ('Running', 'Paused')";

/** By our id, which its jobs keep when it is renamed, and which no other repository ever has. */
async function listOf(client: Client, repositoryId: number, more = ''): Promise<WorkflowExecutionInfo[]> {
  const query = `${repositoryIdKey.name} = '${repositoryId}' and WorkflowType != '${REMOVAL}' ${more}`;
  const found: WorkflowExecutionInfo[] = [];
  for await (const execution of client.workflow.list({ query })) found.push(execution);
  return found;
}

async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
