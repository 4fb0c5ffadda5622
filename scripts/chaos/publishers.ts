import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { isPublished, type PlannedEvent, type Publisher } from './bus-plan.ts';
import { despiteOutages } from './despite-outages.ts';

export interface PublishersOptions {
  events: PlannedEvent[];
  forgeflow: ForgeflowClient;
  databaseUrl: string;
  /** Called after each that is published. */
  onPublished: () => void;
  /** Whether the bus is behind enough for now, so that publishing goes on as long as delivering does. */
  isEnough: () => boolean;
  signal: AbortSignal;
}

const AT_ONCE = 4;
const INSERT = 'insert into events (id, topic, payload) values ($1, $2, $3) on conflict do nothing';

/** Publishes all of them, several at once; while Postgres is away each tries again under the same id. */
export async function publishAll(options: PublishersOptions): Promise<void> {
  const { events, forgeflow, databaseUrl, onPublished, isEnough, signal } = options;
  const pool = new pg.Pool({ connectionString: databaseUrl, max: AT_ONCE, application_name: 'chaos publisher' });
  pool.on('error', () => undefined); // an idle connection that breaks is replaced
  pool.on('connect', (client) => client.on('error', () => undefined)); // and one that is lent out fails its query
  const publishers: Record<Publisher, (event: PlannedEvent) => Promise<unknown>> = {
    client: ({ id, topic }) => forgeflow.publish({ id, topic, data: { by: 'the client' } }),
    sql: (event) => inTransaction(event, 'commit'),
    rollback: (event) => inTransaction(event, 'rollback'),
  };

  /** As an application does that publishes together with changes of its own. */
  async function inTransaction({ id, topic }: PlannedEvent, end: 'commit' | 'rollback'): Promise<void> {
    const client = await pool.connect();
    try {
      await client.query('begin');
      await client.query(INSERT, [id, topic, '{"by": "plain SQL"}']);
      await client.query(end);
      client.release();
    } catch (error) {
      client.release(true);
      throw error;
    }
  }

  const waiting = events.values();
  async function publishSome(): Promise<void> {
    for (const event of waiting) {
      while (isEnough() && !signal.aborted) await sleep(20);
      for (const publisher of event.publishedBy) await despiteOutages(() => publishers[publisher](event), signal);
      if (isPublished(event)) onPublished();
    }
  }

  try {
    await Promise.all(Array.from({ length: AT_ONCE }, publishSome));
  } finally {
    await pool.end();
  }
}
