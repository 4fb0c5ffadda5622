import { setCurrentDetails } from '@temporalio/workflow';
import type { Sweep } from '../activities/retention.ts';
import { retention } from './proxies.ts';

/** Deletes deliveries, and the events that led to them, once they are older than `DELIVERY_RETENTION_DAYS`. */
export async function sweepDeliveries(): Promise<Sweep> {
  const now = new Date().toISOString();
  const summary = `what is too old at ${now}`;
  const swept = await retention.sweepOldDeliveries.executeWithOptions({ summary }, [now]);
  setCurrentDetails(describeSweep(swept));
  return swept;
}

function describeSweep({ deliveries, events, cutoff }: Sweep): string {
  return `**${deliveries} deliveries** and **${events} events** from before ${cutoff} deleted`;
}
