import { v7 as uuidv7 } from 'uuid';
import { dispatchBatch } from '../../src/bus/dispatch-events.ts';
import { readJobEvent } from '../../src/bus/read-job-events.ts';
import { SubscriptionsCache } from '../../src/bus/subscriptions-cache.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { insertEvent } from '../../src/database/events.ts';
import { recordingLogger } from './recording-logger.ts';

export type Payload = Record<string, unknown>;

/** Stores events as the ingress does, in this order, and dispatches them. @returns their ids */
export async function storeEvents(db: ForgeflowDatabase, ...payloads: (Payload | string)[]): Promise<string[]> {
  const ids: string[] = [];
  for (const given of payloads) {
    const payload = typeof given === 'string' ? given : JSON.stringify(given);
    const { object_kind, event_name } = JSON.parse(payload) as { object_kind?: string; event_name?: string };
    const topic = `gitlab.${object_kind ?? event_name ?? 'push'}`;
    const { id } = await insertEvent(db, { id: uuidv7(), topic, payload });
    ids.push(id);
  }
  const cache = new SubscriptionsCache(recordingLogger().logger);
  while ((await dispatchBatch(db, cache)).events > 0);
  return ids;
}

/** Reads all events that wait for it, as a relay does. @returns how many */
export async function readEvents(db: ForgeflowDatabase, logger = recordingLogger().logger): Promise<number> {
  let count = 0;
  while (await readJobEvent({ db, logger })) count++;
  return count;
}

/** The jobs that were asked for and are not submitted yet: the kind, and our id of what it is about. */
export async function askedFor(db: ForgeflowDatabase): Promise<{ kind: string; id: number }[]> {
  const rows = await db.selectFrom('job_requests').select(['kind', 'payload']).orderBy('id').execute();
  return rows.map(({ kind, payload }) => ({ kind, id: Number(Object.values(payload)[0]) }));
}
