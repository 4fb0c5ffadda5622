import type { requestUpkeep } from '../../workflows/request-upkeep.ts';
import { deliverTo, untilClosed } from './deliveries.ts';
import type { Environment } from './environment.ts';
import type { Scenarios } from './history-scenario.ts';
import { startReceiver } from './receiver.ts';

const DAY = 24 * 3_600_000;

/** What schedules start, without waiting for them. */
export const scheduledScenarios: Scenarios<Pick<Environment, 'forgeflow' | 'database'>> = {
  async 'request-upkeep'({ forgeflow }) {
    const handle = await forgeflow.temporal.workflow.start<typeof requestUpkeep>('requestUpkeep', {
      workflowId: 'upkeep',
      taskQueue: 'forgeflow',
      args: [],
    });
    await handle.result();
    return handle;
  },
  async 'sweep-deliveries'({ forgeflow, database }) {
    const receiver = await startReceiver();
    const { id, handle } = await deliverTo(forgeflow, receiver.url);
    await untilClosed({ handle });
    await receiver.close();
    const date_created = new Date(Date.now() - 31 * DAY);
    await database.db.updateTable('deliveries').set({ date_created }).where('id', '=', id).execute();
    await forgeflow.temporal.workflow.execute('sweepDeliveries', {
      workflowId: 'sweepDeliveries',
      taskQueue: 'forgeflow',
      staticSummary: 'deliveries and events older than their retention',
    });
    return { workflowId: 'sweepDeliveries' };
  },
};
