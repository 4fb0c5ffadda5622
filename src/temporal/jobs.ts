import {
  type Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { jobAskedSignal } from '../../workflows/messages.ts';
import { repositoryIdKey, repositoryKey } from '../../workflows/search-attributes.ts';
import type { Job } from '../domain/job.ts';
import { JOB_KINDS } from '../domain/job-kinds.ts';
import { FORGEFLOW_QUEUE } from './task-queues.ts';

export interface JobSubmission extends Pick<Job, 'kind' | 'payload'> {
  /** By `jobWorkflowId`. */
  jobId: string;
  /** What it is about, for people, and the repository that this belongs to. Null where it is unknown. */
  subject: { repository: { id: number; path: string } | null; name: string } | null;
}

/**
 * Starts a job, or asks the one with its id that is active already to run once more.
 * @returns `deduped`: whether it was folded into one that was active; true only where that one has been told, and false only
 *   where this call has started it, however many are submitted at once
 */
export async function submitJob(client: Client, submission: JobSubmission): Promise<{ deduped: boolean }> {
  // Not by signal-with-start: what that answers does not tell, through the SDK, whether it started anything.
  for (;;) {
    if (await start(client, submission)) return { deduped: false };
    if (await ask(client, submission)) return { deduped: true };
    // It has ended between the two.
  }
}

/** @returns false where one is active */
async function start(client: Client, { kind, payload, jobId, subject }: JobSubmission): Promise<boolean> {
  const { description, priority } = JOB_KINDS[kind];
  try {
    await client.workflow.start(kind, {
      workflowId: jobId,
      taskQueue: FORGEFLOW_QUEUE,
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
      args: [payload],
      memo: { payload },
      priority: { priorityKey: priority },
      staticSummary: subject === null ? description : `${subject.name}: ${description}`,
      ...(subject?.repository && {
        typedSearchAttributes: [
          { key: repositoryKey, value: subject.repository.path },
          { key: repositoryIdKey, value: String(subject.repository.id) },
        ],
      }),
    });
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** @returns false where none is active */
async function ask(client: Client, { jobId, payload }: JobSubmission): Promise<boolean> {
  try {
    await client.workflow.getHandle(jobId).signal(jobAskedSignal, payload);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
