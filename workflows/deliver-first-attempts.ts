import { setCurrentDetails } from '@temporalio/workflow';
import type { FirstAttemptsResult } from '../src/domain/first-attempts.ts';
import { firstAttempts } from './proxies.ts';

export interface DeliverFirstAttemptsInput {
  batchId: string;
  /** At most 100. */
  deliveryIds: string[];
}

/**
 * The express lane: the first attempts of many deliveries, in one activity. Postgres holds where each stands; one that does not
 * get through becomes a `deliverWebhook`, which goes on with its next attempt. Cancelled, it sends nothing more and puts back what
 * it has not sent.
 */
export async function deliverFirstAttempts({
  batchId,
  deliveryIds,
}: DeliverFirstAttemptsInput): Promise<FirstAttemptsResult> {
  const amount = deliveryIds.length;
  setCurrentDetails(`**first attempts of ${amount} ${amount === 1 ? 'delivery' : 'deliveries'}** are under way`);
  const result = await firstAttempts.makeFirstAttempts({ batchId, deliveryIds });
  setCurrentDetails(describe(result));
  return result;
}

/** The details text of the Web UI, in its Markdown. */
function describe({ delivered, retrying, failed, putBack, leftOut }: FirstAttemptsResult): string {
  const parts: [number, string][] = [
    [retrying, 'go on to retry, each in a workflow of its own'],
    [failed, 'failed for good'],
    [putBack, 'put back, to be sent later'],
    [leftOut, 'left out: over already, or taken by others'],
  ];
  return [`**${delivered} delivered**`, ...parts.filter(([count]) => count > 0).map((part) => part.join(' '))].join(
    '\n\n',
  );
}
