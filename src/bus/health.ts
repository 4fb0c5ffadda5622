import type { Database } from '../database/connection.ts';
import { publish } from './outbox.ts';

export const HEALTH_TOPIC = 'system.webhook.health';

/** Says on the bus that this worker is at work. */
export async function publishHealth(db: Database, worker: string): Promise<void> {
  await publish(db, { topic: HEALTH_TOPIC, data: { worker, time: new Date().toISOString() } });
}
