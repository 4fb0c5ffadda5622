import { setTimeout as sleep } from 'node:timers/promises';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { Logger } from '../../src/logging.ts';
import { timesAtOnce } from './at-once.ts';
import type { Cleanup } from './cleanup.ts';
import type { Contender } from './contest.ts';
import { type GraphileJobs, openGraphileJobs } from './graphile-worker-jobs.ts';
import { openRecordedJobs } from './graphile-worker-recorded-jobs.ts';
import { type HttpJob, newHttpJob } from './http-job.ts';

export interface PeerOptions {
  databaseUrl: string;
  work: (job: HttpJob) => Promise<void>;
  /** Jobs handed in at once, as events are published. */
  enqueuesAtOnce: number;
  /** Requests in flight at once, as forgeflow's egress. */
  concurrency: number;
  logger: Logger;
}

export interface RecordingPeerOptions extends Omit<PeerOptions, 'work'> {
  attempt: (job: HttpJob, number: number) => Promise<Outcome>;
}

export interface RecordingContender extends Contender {
  /** @throws Error when not all deliveries so far are written down as delivered */
  checkAllRecorded(): Promise<void>;
}

/** graphile-worker by itself: it does a job, and keeps nothing of it. */
export async function graphileWorker(
  { databaseUrl, work, enqueuesAtOnce, concurrency, logger }: PeerOptions,
  cleanup: Cleanup,
): Promise<Contender> {
  const jobs = await openGraphileJobs({ database: databaseUrl, work, concurrency, warn: warnBy(logger) });
  cleanup.add(() => jobs.stop());
  return jobContender('graphile-worker', jobs, enqueuesAtOnce);
}

/** graphile-worker with what it takes to know afterwards what became of each delivery, as forgeflow does. */
export async function graphileWorkerWithRecords(
  { databaseUrl, attempt, enqueuesAtOnce, concurrency, logger }: RecordingPeerOptions,
  cleanup: Cleanup,
): Promise<RecordingContender> {
  const jobs = await openRecordedJobs({ databaseUrl, attempt, concurrency, warn: warnBy(logger) });
  cleanup.add(() => jobs.stop());
  const contender = jobContender('graphile-worker, with records', jobs, enqueuesAtOnce);
  let handedIn = 0;
  return {
    ...contender,
    async run(amount) {
      handedIn += amount;
      await contender.run(amount);
    },
    checkAllRecorded: () => jobs.checkAllRecorded(handedIn),
  };
}

function jobContender(name: string, jobs: GraphileJobs<HttpJob>, enqueuesAtOnce: number): Contender {
  let completed = 0;
  let failed: unknown;
  // It comes when the job is done, and its end is on its way to the database.
  jobs.events.on('job:complete', ({ error }) => {
    completed += 1;
    failed ??= error;
  });
  return {
    name,
    scale: PEER_SCALE,
    async run(amount) {
      completed = 0;
      await timesAtOnce(amount, enqueuesAtOnce, () => jobs.add(newHttpJob()));
      while (completed < amount) await sleep(5);
      if (failed !== null && failed !== undefined) throw new Error(`a job of ${name} failed`, { cause: failed });
    },
  };
}

const warnBy = (logger: Logger) => (message: string) => {
  logger.warn(message);
};

/** Peers are many times faster than workflows. */
export const PEER_SCALE = 10;
