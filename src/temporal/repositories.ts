import { type Client, WorkflowIdConflictPolicy } from '@temporalio/client';
import type { TrackInput, trackRepository } from '../../workflows/track-repository.ts';
import { repositoryKey } from '../../workflows/search-attributes.ts';
import { parseJob } from '../domain/job.ts';
import { submitJob } from './jobs.ts';
import { resultOf } from './run-result.ts';
import { FORGEFLOW_QUEUE } from './task-queues.ts';

/** @returns our id of the repository @throws Refusal `not_found` for one that GitLab does not show; Error with the reason */
export async function runTracking(client: Client, input: TrackInput): Promise<number> {
  const { path, requiredApprovals } = input;
  // One that asks for something else is not answered by a run that is under way.
  const asking = requiredApprovals === undefined ? '' : `?required_approvals=${requiredApprovals ?? 'gitlab'}`;
  const handle = await client.workflow.start<typeof trackRepository>('trackRepository', {
    workflowId: `trackRepository/${path}${asking}`,
    taskQueue: FORGEFLOW_QUEUE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args: [input],
    staticSummary: `track ${path}`,
    typedSearchAttributes: [{ key: repositoryKey, value: path }],
  });
  return resultOf(handle);
}

/** Has all of a repository destroyed, and waits until that is done. @throws Error with the reason */
export async function runRemoval(client: Client, repository: { id: number; path: string }): Promise<void> {
  const { kind, payload, dedupeKey: jobId } = parseJob('destroyRepository', { repositoryId: repository.id });
  await submitJob(client, { kind, payload, jobId, subject: { repository, name: repository.path } });
  await resultOf(client.workflow.getHandle(jobId));
}
