import { Logger, run, type RunnerOptions, type WorkerEvents } from 'graphile-worker';
import type pg from 'pg';

export interface GraphileJobsOptions<Job> {
  /** A URL, for graphile-worker to make itself a pool, or a pool that it shares. */
  database: string | pg.Pool;
  schema?: string;
  /** Jobs worked on at once. */
  concurrency: number;
  /** Does one job; when it throws, graphile-worker tries again later. */
  work: (job: Job, attempt: JobAttempt) => Promise<void>;
  warn: (message: string) => void;
}

export interface JobAttempt {
  /** 1 for the first. */
  number: number;
  isLast: boolean;
}

/** A queue of jobs, and the graphile-worker that does them. */
export interface GraphileJobs<Job> {
  add(job: Job): Promise<unknown>;
  events: WorkerEvents;
  stop(): Promise<void>;
}

/** graphile-worker as its documentation sets it up, with as many connections as it can use. */
export async function openGraphileJobs<Job>(options: GraphileJobsOptions<Job>): Promise<GraphileJobs<Job>> {
  const { database, schema = 'graphile_worker', concurrency, work, warn } = options;
  const connections: RunnerOptions =
    typeof database === 'string'
      ? { connectionString: database, maxPoolSize: connectionsFor(concurrency) }
      : { pgPool: database };
  const runner = await run({
    ...connections,
    schema,
    concurrency,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: {
      send: (payload, { job: { attempts, max_attempts } }) =>
        work(payload as Job, { number: attempts, isLast: attempts >= max_attempts }),
    },
    logger: new Logger(() => (level, message) => {
      if (['error', 'warning'].includes(level)) warn(`graphile-worker: ${message}`);
    }),
  });
  return {
    add: (job) => runner.addJob('send', job),
    events: runner.events,
    stop: () => runner.stop(),
  };
}

/** One for each job under way, and some to hand in and to fetch jobs with, and to listen on. */
export const connectionsFor = (concurrency: number): number => concurrency + 5;
