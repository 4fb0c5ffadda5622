import { ActivityCancellationType, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import { JOB_ATTEMPTS, JOB_DELAY_FACTOR, JOB_FIRST_DELAY_MS, JOB_LONGEST_DELAY_MS } from '../src/domain/job-retry.ts';
import type { JobActivities } from '../activities/jobs.ts';
import type { EgressActivities, GitlabActivities, RecordActivities } from '../activities/index.ts';

/** Outgoing webhooks, on workers that may stand in a network of their own. */
export const egress = proxyActivities<Pick<EgressActivities, 'attemptDelivery'>>({
  taskQueue: 'egress',
  // The longest request (60 s) and the longest wait for a database that restarts (60 s), with room to end in order.
  startToCloseTimeout: '150 seconds',
  // A worker that was killed is found out by its silence, and another one makes the attempt.
  heartbeatTimeout: '10 seconds',
  // Only our own faults come here as failures; they may last for hours and must not use up the delivery's 24 h.
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
  // A request under way is let through to its end, so that what it came to is known and written down.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

/**
 * A batch of first attempts, made by the worker that has its workflow, which is one of queue `egress`: the queue between the two
 * would cost the server as much again as all the rest of a batch. A worker that was killed is found out by its workflow task.
 */
export const firstAttempts = proxyLocalActivities<Pick<EgressActivities, 'makeFirstAttempts'>>({
  // As long as an attempt, and the longest wait for a place among the requests in flight (20 s).
  startToCloseTimeout: '170 seconds',
  // Our own faults; they may last for hours.
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '10 seconds' },
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

/** Quick writes to the records. */
export const records = proxyActivities<Pick<RecordActivities, 'cancelDelivery'>>({
  taskQueue: 'forgeflow',
  // One statement by primary key; longer means that the connection is dead.
  startToCloseTimeout: '10 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** A request that a person waits for: when something is wrong on our side, they hear of it instead of waiting. */
export const testSends = proxyActivities<Pick<EgressActivities, 'sendTest'>>({
  taskQueue: 'egress',
  startToCloseTimeout: '75 seconds', // the longest request, and the reading of the subscription before it
  retry: { maximumAttempts: 1 },
});

/** Deletes what is old, in chunks. */
export const retention = proxyActivities<Pick<RecordActivities, 'sweepOldDeliveries'>>({
  taskQueue: 'forgeflow',
  // Millions of deliveries; what is not done by then, the next try goes on with, and its count.
  startToCloseTimeout: '1 hour',
  // A chunk takes a fraction of a second. A worker that was killed is found out by its silence, and another one goes on.
  heartbeatTimeout: '15 seconds',
  // A database that is away ends no sweep; and while this one waits, the schedule starts no other.
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** Asks for jobs. */
export const upkeep = proxyActivities<Pick<RecordActivities, 'requestUpkeep'>>({
  taskQueue: 'forgeflow',
  startToCloseTimeout: '2 minutes', // one transaction, with a row for each repository and user
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** The books of the installer's runs. */
export const gitlabRuns = proxyActivities<Pick<RecordActivities, 'openGitlabRun' | 'closeGitlabRun'>>({
  taskQueue: 'forgeflow',
  startToCloseTimeout: '1 minute', // counts over all hooks
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** A GitLab that is away for longer fails the run; the next one, by the schedule, tries again. */
const GITLAB_RETRY = {
  initialInterval: '2 seconds',
  backoffCoefficient: 2,
  maximumInterval: '1 minute',
  maximumAttempts: 6,
} as const;

/** One or two requests to GitLab, and what they say written down. */
export const gitlabListing = proxyActivities<
  Pick<GitlabActivities, 'identify' | 'listPage' | 'findRepository' | 'lookUpRepository' | 'coverGroup'>
>({
  taskQueue: 'gitlab',
  startToCloseTimeout: '2 minutes', // each request has 30 s
  retry: GITLAB_RETRY,
});

/** The hooks of up to a hundred repositories, with several requests to GitLab for each. */
export const gitlabPages = proxyActivities<Pick<GitlabActivities, 'installPage' | 'installOne'>>({
  taskQueue: 'gitlab',
  // Four at a time with up to six requests of 30 s each: longer takes only a GitLab that answers nothing in time.
  startToCloseTimeout: '2 hours',
  // A worker that was killed is found out by its silence; another one does what it had not done.
  heartbeatTimeout: '20 seconds',
  retry: GITLAB_RETRY,
  // What a run comes to that somebody cancels is known only once the repositories in hand are through.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

const JOB = {
  // A first clone of a very large repository may take half an hour; longer means that git hangs.
  startToCloseTimeout: '2 hours',
  // A worker that was killed is found out by its silence, and with the delay after it the job goes on within 30 s.
  heartbeatTimeout: '20 seconds',
  retry: {
    initialInterval: JOB_FIRST_DELAY_MS,
    backoffCoefficient: JOB_DELAY_FACTOR,
    maximumInterval: JOB_LONGEST_DELAY_MS,
    maximumAttempts: JOB_ATTEMPTS,
  },
  // Whoever cancels a job may ask for it again at once, and two must not be at one clone.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
} as const;

/** The jobs, each kind on its queue: a few at a time with clones or plugins, and those that ask GitLab apart from them. */
export const jobActivities = {
  forgeflow: proxyActivities<JobActivities>({ taskQueue: 'forgeflow', ...JOB }),
  git: proxyActivities<JobActivities>({ taskQueue: 'git', ...JOB }),
  gitlab: proxyActivities<JobActivities>({ taskQueue: 'gitlab', ...JOB }),
  checks: proxyActivities<JobActivities>({ taskQueue: 'checks', ...JOB }),
};

/** Which repositories are tracked. A person waits for it. */
export const repositoryRecords = proxyActivities<Pick<RecordActivities, 'trackRepository'>>({
  taskQueue: 'forgeflow',
  startToCloseTimeout: '1 minute', // its row, for which a removal may be waited for that deletes much
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});
