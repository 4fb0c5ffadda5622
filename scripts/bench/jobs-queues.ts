import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { makeWorkerUtils } from 'graphile-worker';
import type { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { openDatabase } from '../../src/database/connection.ts';
import type { Cleanup } from './cleanup.ts';
import { completedWorkflows, untilCompleted } from './engine.ts';
import { type WorkerEvents, type JobWorker, startJobWorker } from './jobs-worker.ts';
import type { WorkerSettings } from './jobs-work.ts';

/** A queue of jobs that are numbers, as its documentation sets it up, with workers in processes of their own. */
export interface JobQueue {
  name: WorkerSettings['queue'];
  events: WorkerEvents;
  startWorker(): Promise<JobWorker>;
  /** Submits a job; one with the same key that has not begun takes it in. */
  enqueue(job: number, key?: string): Promise<unknown>;
  /** Submits a job, and resolves when it has ended and the queue knows it. */
  roundTrip(job: number): Promise<void>;
  /** To be called ahead. @returns what resolves when so many jobs have ended since, and the queue knows it */
  expect(count: number): Promise<() => Promise<void>>;
  /** Resolves when no job with that key waits or runs. */
  quiet(key: string): Promise<void>;
}

export interface QueueOptions {
  settings: Omit<WorkerSettings, 'queue'>;
  cleanup: Cleanup;
}

export function forgeflowJobs(forgeflow: ForgeflowClient, { settings, cleanup }: QueueOptions): JobQueue {
  const events: WorkerEvents = new EventEmitter();
  return {
    name: 'forgeflow',
    events,
    startWorker: () => cleanup.start(() => startJobWorker({ ...settings, queue: 'forgeflow' }, events)),
    enqueue: (job, key) => forgeflow.enqueue('reindex_search', { repositoryId: job }, key),
    async roundTrip(job) {
      const { jobId } = await forgeflow.enqueue('reindex_search', { repositoryId: job });
      await forgeflow.temporal.workflow.getHandle(jobId).result();
    },
    async expect(count) {
      const before = await completedWorkflows(forgeflow.temporal);
      return () => untilCompleted(forgeflow.temporal, before + count);
    },
    async quiet(key) {
      await forgeflow.temporal.workflow.getHandle(`reindex_search/${key}`).result();
    },
  };
}

/** Also what helps a supervisor of graphile-worker's workers that knows which of them are dead. */
export type GraphileJobs = JobQueue & { unlockAll(): Promise<void> };

export async function graphileWorkerJobs({ settings, cleanup }: QueueOptions): Promise<GraphileJobs> {
  const events: WorkerEvents = new EventEmitter();
  const { databaseUrl } = settings;
  const utils = await makeWorkerUtils({ connectionString: databaseUrl, maxPoolSize: 20 });
  cleanup.add(() => utils.release());
  await utils.migrate();
  const db = openDatabase(databaseUrl, { maxConnections: 2 });
  cleanup.add(() => db.destroy());

  const enqueue = (job: number, key?: string) =>
    // Its keys fold a job into one that waits; a queue of the job's own keeps two from running at once.
    utils.addJob('job', { job }, { jobKey: key ?? `job/${job}`, ...(key !== undefined && { queueName: key }) });
  const expect = (count: number): Promise<void> =>
    new Promise((resolve) => {
      let left = count;
      const onDone = (jobs: number[]): void => {
        left -= jobs.length;
        if (left > 0) return;
        events.off('done', onDone);
        resolve();
      };
      events.on('done', onDone);
    });
  return {
    name: 'graphile-worker',
    events,
    startWorker: () => cleanup.start(() => startJobWorker({ ...settings, queue: 'graphile-worker' }, events)),
    enqueue,
    async roundTrip(job) {
      const ended = expect(1);
      await enqueue(job);
      await ended;
    },
    expect(count) {
      const ended = expect(count);
      return Promise.resolve(() => ended);
    },
    async quiet(key) {
      const count = async () => {
        const { rows } = await sql`select from graphile_worker.jobs where queue_name = ${key}`.execute(db);
        return rows.length;
      };
      while ((await count()) > 0) await sleep(5);
    },
    async unlockAll() {
      const { rows } = await sql<{ locked_by: string }>`
        select distinct locked_by from graphile_worker.jobs where locked_by is not null
      `.execute(db);
      await utils.forceUnlockWorkers(rows.map(({ locked_by }) => locked_by));
    },
  };
}
