import pg from 'pg';
import { failureDetail, type Outcome } from '../../src/domain/outcome.ts';
import { connectionsFor, type GraphileJobs, openGraphileJobs } from './graphile-worker-jobs.ts';
import { checkAllRecorded, createRecords, handInRecorded, recordAttempt } from './graphile-worker-records.ts';
import type { HttpJob } from './http-job.ts';

export interface RecordedJobsOptions<Job extends HttpJob> {
  databaseUrl: string;
  schema?: string;
  /** Jobs worked on at once. */
  concurrency: number;
  attempt: (job: Job, number: number) => Promise<Outcome>;
  warn: (message: string) => void;
}

export interface RecordedJobs<Job> extends GraphileJobs<Job> {
  /** @throws Error when not just these many deliveries are written down, each as delivered */
  checkAllRecorded(count: number): Promise<void>;
}

/** Jobs of graphile-worker whose deliveries and attempts are written down beside them, as fast as that can well be done. */
export async function openRecordedJobs<Job extends HttpJob>({
  databaseUrl,
  schema = 'graphile_worker',
  concurrency,
  attempt,
  warn,
}: RecordedJobsOptions<Job>): Promise<RecordedJobs<Job>> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: connectionsFor(concurrency) });
  // Without listeners, node-postgres ends the process when a connection breaks, and graphile-worker complains.
  const onError = (error: Error): void => {
    warn(error.message);
  };
  pool.on('error', onError).on('connect', (client) => client.on('error', onError));
  await createRecords(pool);
  const jobs = await openGraphileJobs<Job>({
    database: pool,
    schema,
    concurrency,
    warn,
    async work(job, { number, isLast }) {
      const sentAt = new Date();
      const outcome = await attempt(job, number);
      await recordAttempt(pool, { deliveryId: job.id, number, isLast, sentAt, outcome });
      const failure = failureDetail(outcome);
      if (failure !== null) throw new Error(failure);
    },
  });
  return {
    events: jobs.events,
    add: (job) => handInRecorded(pool, schema, job),
    checkAllRecorded: (count) => checkAllRecorded(pool, count),
    async stop() {
      await jobs.stop();
      await pool.end();
    },
  };
}
