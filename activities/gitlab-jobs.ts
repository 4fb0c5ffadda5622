import type { GitlabClient } from '../src/gitlab/client.ts';
import { apiOf, type GitlabAccess, interruptionOf, reserveReached } from './gitlab-access.ts';
import type { JobOutcome, JobPostponed } from './job-context.ts';

/** Where GitLab does not say for how long: its windows are a minute. */
const WAIT_MS = 60_000;
/** A time that is over when the answer is read would have the job ask again at once. */
const SHORTEST_WAIT_MS = 1_000;

/**
 * A job that asks GitLab. Where GitLab's rate limit is used up, or down to the reserve, the job goes on later; what it did
 * so far it does again then.
 * @throws ApplicationFailure for a missing setting; GitlabError, whose message is fit to be shown
 */
export async function askingGitlab(
  gitlab: GitlabAccess,
  work: (client: GitlabClient) => Promise<JobOutcome>,
): Promise<JobOutcome> {
  const api = apiOf(gitlab);
  const reached = reserveReached(api, Date.now());
  if (reached !== undefined) return postponed(reached.retryAt);
  try {
    return await work(api.client);
  } catch (error) {
    const interruption = interruptionOf(error);
    if (interruption?.endedEarly === 'rate_limited') return postponed(interruption.retryAt);
    throw error;
  }
}

function postponed(retryAt: string | null): JobPostponed {
  const now = Date.now();
  const at = retryAt === null ? now + WAIT_MS : Math.max(Date.parse(retryAt), now + SHORTEST_WAIT_MS);
  return { postponedUntil: new Date(at).toISOString(), reason: "GitLab's rate limit is used up" };
}
