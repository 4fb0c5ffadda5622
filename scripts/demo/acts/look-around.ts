import pc from 'picocolors';
import { deliveryWorkflowId } from '../../../src/domain/delivery.ts';
import { formatDelay } from '../../../src/domain/retry-policy.ts';
import { INSTALL_SCHEDULE } from '../../../src/temporal/schedules.ts';
import { list, say, score } from '../console.ts';
import type { Stage } from '../stage.ts';
import { EXPRESS_BATCHES } from './express.ts';

/** @param failedId the delivery to dead that failed for good at first */
export function lookAround({ startedAt, webUi }: Stage, failedId: string): void {
  const found = (query: string): string => webUi(`/workflows?query=${encodeURIComponent(query)}`);
  const { kept, made } = score();
  const colour = kept === made ? pc.green : pc.red;
  say(`\n${pc.bold(colour(`${kept} of ${made} claims came true, in ${formatDelay(Date.now() - startedAt)}.`))}`);
  say(`\n${pc.bold('Where to look in the Web UI')}`);
  list([
    ['runs of the installer', found('WorkflowType="installGitLabWebhooks"')],
    ['the one ended early', found('forgeflowState="rate_limited"')],
    ['its schedule', webUi(`/schedules/${INSTALL_SCHEDULE}`)],
    ['batches of the express lane', found(EXPRESS_BATCHES)],
    ['all deliveries', found('WorkflowType="deliverWebhook"')],
    ['those to one receiver', found('forgeflowSubscription="flaky"')],
    ['the 24 h of dead', webUi(`/workflows/${encodeURIComponent(deliveryWorkflowId(failedId))}`)],
  ]);
  say(`\n${pc.bold('Or in another terminal')}`);
  for (const command of ['gitlab status', 'deliveries list', 'status'])
    say(`  FORGEFLOW_HOME=.forgeflow/demo npm run forgeflow -- ${command}`);
}
