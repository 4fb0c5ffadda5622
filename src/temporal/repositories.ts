import { type Client, WorkflowIdConflictPolicy } from '@temporalio/client';
import type { TrackInput, trackRepository, untrackRepository } from '../../workflows/track-repository.ts';
import { repositoryKey } from '../../workflows/search-attributes.ts';
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

/** @throws Error with the reason */
export async function runUntracking(client: Client, { id, path }: { id: number; path: string }): Promise<void> {
  const handle = await client.workflow.start<typeof untrackRepository>('untrackRepository', {
    workflowId: `untrackRepository/repo/${id}`,
    taskQueue: FORGEFLOW_QUEUE,
    workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    args: [id],
    staticSummary: `remove ${path}`,
    typedSearchAttributes: [{ key: repositoryKey, value: path }],
  });
  await resultOf(handle);
}
