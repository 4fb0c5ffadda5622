import type { WorkflowHandle } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

type HistoryEvent = temporal.api.history.v1.IHistoryEvent;

export async function eventsOf(handle: WorkflowHandle): Promise<HistoryEvent[]> {
  return (await handle.fetchHistory()).events ?? [];
}

/** How many attempts a delivery's workflow has asked for; those that Temporal makes again by itself count once. */
export async function activitiesOf(handle: WorkflowHandle): Promise<number> {
  return (await eventsOf(handle)).filter((event) => event.activityTaskScheduledEventAttributes).length;
}

/** All that stands in a history, what is inside its payloads too. */
export async function historyText(handle: WorkflowHandle): Promise<string> {
  return JSON.stringify(readable(await eventsOf(handle)));
}

function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, readable(inner)]));
}
