import type { Client } from '@temporalio/client';
import Long from 'long';
import { v4 as uuid } from 'uuid';

/**
 * Lets a workflow's clock run ahead, on a server that `startTemporalServer` started; what it does on the way is real.
 * Resolves when the time has passed for it, or it has ended before.
 */
export async function fastForward(client: Client, workflowId: string, durationMs: number): Promise<void> {
  const { namespace } = client.options;
  const workflowExecution = { workflowId };
  const fastForwardId = uuid();
  const duration = { seconds: Long.fromNumber(Math.ceil(durationMs / 1000)) };
  await client.workflowService.updateWorkflowExecutionOptions({
    namespace,
    workflowExecution,
    workflowExecutionOptions: {
      timeSkippingConfig: { enabled: true, fastForwardConfig: { id: fastForwardId, duration } },
    },
    updateMask: { paths: ['time_skipping_config'] },
  });
  await client.withDeadline(Date.now() + 60_000, () =>
    client.workflowService.pollWorkflowExecutionTimeSkipping({ namespace, workflowExecution, fastForwardId }),
  );
}
