import type { StatusState } from './status-rollup.ts';

const CONCLUSIONS: Partial<Record<string, StatusState>> = {
  success: 'success',
  neutral: 'success',
  skipped: 'success',
  failure: 'failure',
  timed_out: 'failure',
  startup_failure: 'failure',
  action_required: 'error',
  cancelled: 'error',
  stale: 'error',
};

/**
 * What a check that tells its progress and its conclusion apart comes to.
 * @param status `completed`, or any other word while it is not over
 * @param conclusion only looked at when it is over; one that is missing or unknown is an error, since it says nothing good
 */
export function stateOfConclusion(status: string, conclusion: string | null): StatusState {
  if (status !== 'completed') return 'pending';
  return (conclusion === null ? undefined : own(CONCLUSIONS, conclusion)) ?? 'error';
}

/** The words of GitLab's pipelines, jobs and commit statuses, with what each of them comes to. */
const GITLAB_STATES: Partial<Record<string, StatusState>> = {
  // Under way, or in a queue: nothing has been said yet.
  created: 'pending',
  waiting_for_resource: 'pending',
  waiting_for_callback: 'pending',
  preparing: 'pending',
  pending: 'pending',
  running: 'pending',
  canceling: 'pending', // the job still runs what it does after its script
  // It begins by itself when its delay is over.
  scheduled: 'pending',
  // It waits for a person, for as long as that takes, but GitLab does not call it over either: it may be started yet.
  manual: 'pending',
  success: 'success',
  // Rules left it out, or there was nothing to do: as with `skipped` of a conclusion nothing is wrong.
  skipped: 'success',
  failed: 'failure',
  // Nobody knows how it would have ended: as with `cancelled` of a conclusion.
  canceled: 'error',
};

export interface GitlabStatus {
  /** As GitLab calls it: `running`. */
  status: string;
  /** Whether the job may fail without its pipeline failing; pipelines themselves have no such thing. */
  allowFailure?: boolean | undefined;
}

/**
 * What a pipeline, a job or a commit status of GitLab comes to. A job that may fail holds nothing up once it is over, nor
 * while it waits for somebody who may never start it. A word that is unknown is taken for one that is not over: those that
 * are have been the same for ten years, while new ones on the way there keep coming.
 */
export function stateOfGitlabStatus({ status, allowFailure = false }: GitlabStatus): StatusState {
  const harmless = allowFailure && ['failed', 'canceled', 'manual'].includes(status);
  return harmless ? 'success' : (own(GITLAB_STATES, status) ?? 'pending');
}

/** Not what a plain object has from its prototype. */
function own<T>(record: Partial<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
