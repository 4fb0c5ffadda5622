import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import type { TaskQueue } from './task-queues.ts';

export interface QueueStatus {
  queue: TaskQueue;
  kind: 'workflow' | 'activity';
  /** Worker processes that asked for work lately. */
  workers: number;
  /** Tasks that wait for a worker, as the server estimates. */
  backlog: number;
}

export async function describeQueue(client: Client, queue: TaskQueue, kind: QueueStatus['kind']): Promise<QueueStatus> {
  const types = proto.temporal.api.enums.v1.TaskQueueType;
  const { pollers, stats } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: kind === 'workflow' ? types.TASK_QUEUE_TYPE_WORKFLOW : types.TASK_QUEUE_TYPE_ACTIVITY,
    reportStats: true,
  });
  return {
    queue,
    kind,
    workers: new Set(pollers.map(({ identity }) => identity)).size,
    backlog: Number(stats?.approximateBacklogCount ?? 0),
  };
}
