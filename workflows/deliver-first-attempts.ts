import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { BATCH_SIZE, type FirstAttemptsResult } from '../src/domain/first-attempts.ts';
import { firstAttempts } from './proxies.ts';
import { subscriptionsKey } from './search-attributes.ts';

export interface DeliverFirstAttemptsInput {
  batchId: string;
  /** Those it begins with, at most 100. Others are added while it is open, 100 at once at most. */
  deliveryIds: string[];
}

/**
 * The express lane: the first attempts of many deliveries, in one activity, which takes more of them while it is open. Postgres
 * holds where each stands; one that does not get through becomes a `deliverWebhook`, which goes on with its next attempt.
 * Cancelled, it sends nothing more and puts back what it has not sent.
 */
export async function deliverFirstAttempts({
  batchId,
  deliveryIds,
}: DeliverFirstAttemptsInput): Promise<FirstAttemptsResult> {
  setCurrentDetails(
    `**first attempts** are under way, up to ${BATCH_SIZE} at once; it began with ${deliveryIds.length} deliveries`,
  );
  const result = await firstAttempts.makeFirstAttempts({ batchId, deliveryIds });
  setCurrentDetails(describe(result));
  noteSubscriptions(result.subscriptions ?? []);
  return result;
}

/** Those that were added may be of others than it was started for. */
function noteSubscriptions(names: string[]): void {
  const known = workflowInfo().typedSearchAttributes.get(subscriptionsKey) ?? [];
  const isSame = names.length === known.length && names.every((name) => known.includes(name));
  if (names.length > 0 && !isSame) upsertSearchAttributes([{ key: subscriptionsKey, value: names }]);
}

/** The details text of the Web UI, in its Markdown. */
function describe({ delivered, retrying, failed, putBack, leftOut, subscriptions = [] }: FirstAttemptsResult): string {
  const parts: [number, string][] = [
    [retrying, 'go on to retry, each in a workflow of its own'],
    [failed, 'failed for good'],
    [putBack, 'put back, to be sent later'],
    [leftOut, 'left out: over already, or taken by others'],
  ];
  return [
    `**${delivered} delivered**${subscriptions.length > 0 ? ` to ${subscriptions.join(', ')}` : ''}`,
    ...parts.filter(([count]) => count > 0).map((part) => part.join(' ')),
  ].join('\n\n');
}
