import { proxyActivities } from '@temporalio/workflow';

export interface BareActivities {
  noOp(): Promise<void>;
}

const { noOp } = proxyActivities<BareActivities>({ taskQueue: 'egress', startToCloseTimeout: '150 seconds' });

/** As little as a workflow with an activity can be: what it costs is what the engine costs. */
export async function bareWorkflow(): Promise<void> {
  await noOp();
}
