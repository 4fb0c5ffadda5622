import { Context } from '@temporalio/activity';
import { JOB_KINDS, type JobKind, type JobQueue } from '../src/domain/job-kinds.ts';
import { type JobPayload, parseJob } from '../src/domain/job.ts';
import { jobFailure } from './failures.ts';
import type { JobContext, JobOutcome, JobPostponed } from './job-context.ts';

type JobHandler<Kind extends JobKind> = (payload: JobPayload<Kind>, context: JobContext) => Promise<JobOutcome>;
/** What does the jobs: one for each kind. */
export type JobHandlers = { [Kind in JobKind]: JobHandler<Kind> };

/** The payload as it came in, whoever started the workflow. */
type JobActivity = (payload: unknown) => Promise<JobOutcome>;
/** One activity for each kind, by the kind's name. */
export type JobActivities = Record<JobKind, JobActivity>;

/** Well below the heartbeat timeout of workflows/proxies.ts. */
const HEARTBEAT_MS = 4_000;

/** The jobs' activities, by the task queue that serves them. */
export function createJobs(handlers: JobHandlers): Record<JobQueue, Partial<JobActivities>> {
  const activities: Record<JobQueue, Partial<JobActivities>> = {
    forgeflow: {},
    git: {},
    gitlab: {},
    checks: {},
  };
  for (const kind of Object.keys(JOB_KINDS) as JobKind[]) {
    activities[JOB_KINDS[kind].queue][kind] = async (payload) => runJob(kind, handlers[kind] as AnyHandler, payload);
  }
  return activities;
}

type AnyHandler = (payload: JobPayload, context: JobContext) => Promise<JobOutcome>;

/**
 * Shows Temporal that this worker lives, and ends when Temporal wants it to.
 * @throws ApplicationFailure, see `jobFailure`
 */
async function runJob(kind: JobKind, handle: AnyHandler, given: unknown): Promise<JobOutcome> {
  const context = Context.current();
  const signal = context.cancellationSignal;
  const pulse = setInterval(() => {
    context.heartbeat();
  }, HEARTBEAT_MS);
  try {
    const now = context.info.currentAttemptScheduledTimestampMs;
    const outcome = await handle(parseJob(kind, given).payload, { signal, now });
    if (!isPostponed(outcome)) return { ...outcome, attempts: context.info.attempt };
    if (Number.isNaN(Date.parse(outcome.postponedUntil))) throw new Error('it was postponed until no time at all');
    return outcome;
  } catch (error) {
    if (context.cancellationDetails?.cancelRequested) throw signal.reason as Error;
    // A worker that stops leaves its job to another: that is no failed attempt of the job's, however often it happens.
    if (context.cancellationDetails?.workerShutdown)
      return { postponedUntil: new Date().toISOString(), reason: 'its worker was stopped' };
    throw jobFailure(error, context.info.attempt);
  } finally {
    clearInterval(pulse);
  }
}

function isPostponed(outcome: JobOutcome): outcome is JobPostponed {
  return 'postponedUntil' in outcome;
}
