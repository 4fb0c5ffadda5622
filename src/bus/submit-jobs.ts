import type { Client } from '@temporalio/client';
import pLimit from 'p-limit';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { removeJobRequests, type StoredJobRequest, takeJobRequests } from '../database/job-requests.ts';
import { nameSubjects } from '../database/job-subjects.ts';
import { type Job, parseJob } from '../domain/job.ts';
import { Refusal } from '../domain/refusal.ts';
import type { Logger } from '../logging.ts';
import { submitJob } from '../temporal/jobs.ts';
import { isTemporalAway } from '../temporal/temporal-away.ts';

export interface SubmitDependencies {
  db: ForgeflowDatabase;
  temporal: Client;
  logger: Logger;
}

const BATCH = 200;
/** Workflows started or told at once. */
const AT_ONCE = 20;

/**
 * Submits the jobs that were asked for longest ago. Those of one batch that are the same job are submitted once. They are
 * locked meanwhile, and gone once Temporal has all of them: a worker that dies leaves them to the next.
 * @returns how many there were
 * @throws what Temporal threw while it is away
 */
export async function submitBatch({ db, temporal, logger }: SubmitDependencies): Promise<number> {
  return db.transaction().execute(async (transaction) => {
    const requests = await takeJobRequests(transaction, BATCH);
    if (requests.length === 0) return 0;
    const jobs = [...new Map(requests.flatMap(read).map((job) => [job.dedupeKey, job])).values()];
    const subjects = await nameSubjects(
      transaction,
      jobs.map(({ payload }) => payload),
    );
    const limit = pLimit(AT_ONCE);
    await Promise.all(jobs.map((job, i) => limit(() => submit(job, subjects[i] ?? null))));
    await removeJobRequests(
      transaction,
      requests.map(({ id }) => id),
    );
    return requests.length;
  });

  function read({ kind, payload }: StoredJobRequest): Job[] {
    try {
      return [parseJob(kind, payload)];
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      logger.error('a job that was asked for makes no sense, and is dropped', { kind, problem: error.message });
      return [];
    }
  }

  async function submit(job: Job, subject: Awaited<ReturnType<typeof nameSubjects>>[number]): Promise<void> {
    const { kind, payload, dedupeKey: jobId } = job;
    try {
      await submitJob(temporal, { kind, payload, jobId, subject });
    } catch (error) {
      if (isTemporalAway(error)) throw error;
      logger.error('a job could not be submitted, and is dropped', { jobId, problem: String(error) });
    }
  }
}
