import pg from 'pg';
import { isSuccess, type Outcome } from '../../src/domain/outcome.ts';
import type { HttpJob } from './http-job.ts';

/**
 * The tables of somebody who needs of each delivery and of its attempts what forgeflow writes down. The payload lies in the job
 * alone, and so is gone with it; forgeflow keeps it.
 */
const TABLES = `
  create schema if not exists bench_records;
  create table if not exists bench_records.deliveries (
    id uuid primary key,
    event_id uuid not null,
    topic varchar(255) not null,
    state text not null default 'pending' check (state in ('pending', 'delivered', 'failed')),
    attempt_count integer not null default 0,
    date_created timestamptz not null default now(),
    date_sent timestamptz
  );
  create index if not exists deliveries_pending on bench_records.deliveries (state) where state = 'pending';
  create table if not exists bench_records.attempts (
    delivery_id uuid not null references bench_records.deliveries (id),
    number integer not null,
    sent_at timestamptz not null,
    duration_ms integer not null,
    status_code integer,
    connection_error text,
    response_headers jsonb,
    response_body bytea,
    primary key (delivery_id, number)
  );
`;

export interface RecordedAttempt {
  deliveryId: string;
  /** 1 for the first. */
  number: number;
  isLast: boolean;
  sentAt: Date;
  outcome: Outcome;
}

export async function createRecords(pool: pg.Pool): Promise<void> {
  await pool.query(TABLES);
}

/** Writes a delivery down and adds its job, in one statement. */
export async function handInRecorded(pool: pg.Pool, workerSchema: string, job: HttpJob): Promise<void> {
  await pool.query({
    name: 'hand in', // prepared once for each connection
    text: `
      with delivery as (insert into bench_records.deliveries (id, event_id, topic) values ($1, $2, $3))
      select id from ${pg.escapeIdentifier(workerSchema)}.add_job('send', $4::json)
    `,
    values: [job.id, job.eventId, job.topic, JSON.stringify(job)],
  });
}

/** Writes an attempt down and what its delivery has come to, in one statement. */
export async function recordAttempt(pool: pg.Pool, attempt: RecordedAttempt): Promise<void> {
  const { deliveryId, number, isLast, sentAt, outcome } = attempt;
  const response = outcome.kind === 'response' ? outcome : null;
  const connectionError = outcome.kind === 'response' ? null : outcome.reason;
  const stateOtherwise = isLast ? 'failed' : 'pending';
  await pool.query({
    name: 'record',
    text: `
      with attempt as (
        insert into bench_records.attempts (
          delivery_id, number, sent_at, duration_ms, status_code, connection_error, response_headers, response_body
        ) values ($1, $2, $3, $4, $5, $6, $7, $8)
      )
      update bench_records.deliveries set state = $9, attempt_count = $2, date_sent = $3 where id = $1
    `,
    values: [
      deliveryId,
      number,
      sentAt,
      outcome.durationMs,
      response?.statusCode,
      connectionError,
      response === null ? null : JSON.stringify(response.headers),
      response?.body,
      isSuccess(outcome) ? 'delivered' : stateOtherwise,
    ],
  });
}

/** @throws Error when not just these many deliveries are there, each of them delivered, with a record of how */
export async function checkAllRecorded(pool: pg.Pool, count: number): Promise<void> {
  const { rows } = await pool.query<{ deliveries: number; delivered: number }>(`
    select
      (select count(*)::int from bench_records.deliveries) as deliveries,
      (
        select count(*)::int from bench_records.deliveries
          join bench_records.attempts on delivery_id = id and number = attempt_count
        where state = 'delivered' and status_code = 204
      ) as delivered
  `);
  const [{ deliveries, delivered } = { deliveries: 0, delivered: 0 }] = rows;
  if (deliveries !== count || delivered !== count)
    throw new Error(`of ${count} deliveries, ${deliveries} are written down, ${delivered} of them as delivered`);
}
