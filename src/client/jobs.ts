import { v7 as uuidv7 } from 'uuid';
import { nameSubjects } from '../database/job-subjects.ts';
import { jobWorkflowId } from '../domain/job-id.ts';
import { isJobKind, JOB_KINDS, type JobKind, type JobQueue, type JobSubject } from '../domain/job-kinds.ts';
import type { JobState } from '../domain/job-state.ts';
import { type Job, parseJob } from '../domain/job.ts';
import { invalid, Refusal } from '../domain/refusal.ts';
import { reach } from '../temporal/connection.ts';
import type { JobEntry } from '../temporal/job-log.ts';
import type { ClientContext } from './context.ts';

/** A job that was submitted. */
export interface EnqueuedJob {
  jobId: string;
  kind: JobKind;
  /** True: it was folded into one with the same key that is active, which runs once more after the run under way. */
  deduped: boolean;
}

/** A job as Temporal knows it, for as long as its namespace keeps what is over. Times are ISO 8601, absent is null. */
export interface JobStatus {
  jobId: string;
  kind: JobKind;
  payload: unknown;
  state: JobState;
  /** Of its last run, or of the run under way. */
  attempts: number;
  /** Why it is dead, or why the last attempt of a running one failed. */
  error: string | null;
  startedAt: string;
  finishedAt: string | null;
}

export interface KindStatus {
  kind: JobKind;
  description: string;
  /** The task queue that its activity runs on. */
  queue: JobQueue;
  /** The fields of its payload. */
  payload: Record<string, string>;
}

export interface JobFilter {
  kind?: string | undefined;
  state?: JobState | undefined;
  /** 50 when left out; 1000 at most. */
  limit?: number | undefined;
}

const OUR_ID = 'our id';
const PAYLOADS: Record<JobSubject, Record<string, string>> = {
  mergeRequest: { mergeRequestId: OUR_ID },
  repository: { repositoryId: OUR_ID },
  commit: { commitId: OUR_ID },
  check: { checkId: OUR_ID },
  coverage: { repositoryId: OUR_ID, sha: 'of the commit', report: OUR_ID },
  user: { userId: OUR_ID },
  group: { group: 'path in GitLab' },
};

/** What kinds there are. */
export function jobKinds(): KindStatus[] {
  return (Object.keys(JOB_KINDS) as JobKind[]).map((kind) => {
    const { description, queue, about } = JOB_KINDS[kind];
    return { kind, description, queue, payload: PAYLOADS[about] };
  });
}

/** Background work, by kind and id. */
export class Jobs {
  readonly #context: ClientContext;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /** What kinds there are. */
  kinds(): KindStatus[] {
    return jobKinds();
  }

  /**
   * Submits a job; it is done by any worker, and survives any crash.
   * @param payload as the kind wants it; nothing means `{}`
   * @param dedupeKey what makes two submissions the same job while it is active; left out: the kind and what it is about;
   *   empty: nothing does
   * @throws Refusal that names the field, before anything is started
   */
  async enqueue(kind: string, payload?: unknown, dedupeKey?: string): Promise<EnqueuedJob> {
    const job = parseJob(kind, payload);
    return this.#submit(job, jobWorkflowId(job.kind, dedupeKey ?? job.dedupeKey, uuidv7()));
  }

  async #submit({ kind, payload }: Job, jobId: string): Promise<EnqueuedJob> {
    const { db, temporal } = this.#context;
    await reach(temporal);
    const { submitJob } = await import('../temporal/jobs.ts');
    const [subject = null] = await nameSubjects(db, [payload]);
    const { deduped } = await submitJob(temporal, { kind, payload, jobId, subject });
    return { jobId, kind, deduped };
  }

  /** Newest first; a job that was run several times stands there several times. */
  async list({ kind, state, limit = 50 }: JobFilter = {}): Promise<JobStatus[]> {
    checkLimit(limit);
    if (kind !== undefined && !isJobKind(kind))
      throw invalid('kind', `there is no "${kind.slice(0, 64)}"; there are ${Object.keys(JOB_KINDS).join(', ')}`);
    const { temporal } = this.#context;
    await reach(temporal);
    const { listJobs } = await import('../temporal/job-log.ts');
    return (await listJobs(temporal, { kind, state, limit })).map(presentJob);
  }

  /** Those that have failed for good and were not run again since, newest first. */
  async dead({ limit = 50 }: Pick<JobFilter, 'limit'> = {}): Promise<JobStatus[]> {
    checkLimit(limit);
    const { temporal } = this.#context;
    await reach(temporal);
    const { listDeadJobs } = await import('../temporal/job-log.ts');
    return (await listDeadJobs(temporal, limit)).map(presentJob);
  }

  /**
   * Runs a job again that is dead or was cancelled, with the payload it had.
   * @throws Refusal `not_found`; `conflict` while it runs, or where it has completed
   */
  async retry(jobId: string): Promise<EnqueuedJob> {
    const { temporal } = this.#context;
    await reach(temporal);
    const { findJob } = await import('../temporal/job-log.ts');
    const found = await findJob(temporal, jobId);
    if (found === undefined)
      throw new Refusal('not_found', `there is no job "${jobId}"; "jobs dead" lists those to retry`);
    if (found.state === 'running') throw new Refusal('conflict', `job ${jobId} is running already`);
    if (found.state === 'completed')
      throw new Refusal('conflict', `job ${jobId} has completed; "jobs enqueue" runs it again`);
    return this.#submit(parseJob(found.kind, found.payload), jobId);
  }
}

function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
    throw invalid('limit', 'it is a whole number from 1 to 1000');
}

export function presentJob({ startedAt, finishedAt, ...entry }: JobEntry): JobStatus {
  return { ...entry, startedAt: startedAt.toISOString(), finishedAt: finishedAt?.toISOString() ?? null };
}
