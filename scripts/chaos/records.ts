import pg from 'pg';

/** A delivery as Postgres has it, with what was written down of its attempts. */
export interface RecordedDelivery {
  id: string;
  eventId: string;
  subscription: string;
  state: string;
  attemptCount: number;
  /** The numbers of its attempts, in order. */
  attempts: number[];
  lastStatusCode: number | null;
  /** When the event was stored. */
  publishedAt: Date;
}

export interface Backlog {
  /** Events without deliveries so far. */
  undispatched: number;
  pending: number;
}

/** What the database says at the end, or nothing while it is away. */
export class Records {
  readonly #pool: pg.Pool;

  constructor(databaseUrl: string) {
    this.#pool = new pg.Pool({ connectionString: databaseUrl, max: 1, application_name: 'chaos laws' });
    this.#pool.on('error', () => undefined);
  }

  /** Of the events with a topic of ours. */
  async backlog(): Promise<Backlog> {
    const { rows } = await this.#pool.query<Backlog>(`
      select
        (select count(*)::int from events where dispatched_at is null and topic like 'chaos.%') as undispatched,
        (select count(*)::int from deliveries where state = 'pending') as pending
    `);
    return rows[0]!;
  }

  async deliveries(): Promise<RecordedDelivery[]> {
    const { rows } = await this.#pool.query<RecordedDelivery>(`
      select delivery.id, event.id as "eventId", subscription.name as subscription, delivery.state,
        delivery.attempt_count as "attemptCount", event.created_at as "publishedAt",
        array(select number from attempts where delivery_id = delivery.id order by number) as attempts,
        (select status_code from attempts where delivery_id = delivery.id order by number desc limit 1)
          as "lastStatusCode"
      from deliveries delivery
        join events event on event.id = delivery.event_id
        join subscriptions subscription on subscription.id = delivery.subscription_id
    `);
    return rows;
  }

  async eventIds(): Promise<string[]> {
    const { rows } = await this.#pool.query<{ id: string }>(`select id from events where topic like 'chaos.%'`);
    return rows.map(({ id }) => id);
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
