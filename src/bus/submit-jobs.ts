import type { Client } from '@temporalio/client';
import pLimit from 'p-limit';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { removeJobRequests, type StoredJobRequest, takeJobRequests } from '../database/job-requests.ts';
import { nameSubjects, type SubjectName } from '../database/job-subjects.ts';
import { type Job, parseJob } from '../domain/job.ts';
import { Refusal } from '../domain/refusal.ts';
import type { Logger } from '../logging.ts';
import { submitJob } from '../temporal/jobs.ts';
import { isNonsenseToTemporal } from '../temporal/temporal-away.ts';

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
 * @throws what Temporal threw while it is away; then none of them is gone
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
    await submitAll(jobs, subjects);
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

  async function submitAll(jobs: Job[], subjects: (SubjectName | null)[]): Promise<void> {
    const limit = pLimit(AT_ONCE);
    let fault: unknown;
    const submitOne = async (job: Job, subject: SubjectName | null): Promise<void> => {
      if (fault !== undefined) return; // each would try for ten seconds, one after the other
      await submit(job, subject).catch((error: unknown) => {
        fault = error;
      });
    };
    // All of them are through before the requests are given back: whoever takes those would not be alone at it.
    await Promise.all(jobs.map((job, i) => limit(() => submitOne(job, subjects[i] ?? null))));
    if (fault !== undefined) throw fault; // eslint-disable-line @typescript-eslint/only-throw-error -- as it came
  }

  async function submit({ kind, payload, dedupeKey: jobId }: Job, subject: SubjectName | null): Promise<void> {
    try {
      await submitJob(temporal, { kind, payload, jobId, subject });
    } catch (error) {
      if (!isNonsenseToTemporal(error)) throw error;
      logger.error('a job could not be submitted, and is dropped', { jobId, problem: String(error) });
    }
  }
}
