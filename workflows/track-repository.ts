import { ApplicationFailure } from '@temporalio/workflow';
import { gitlabListing, repositoryRecords } from './proxies.ts';

export interface TrackInput {
  /** In GitLab. */
  path: string;
  /** Left out: as it was; null: as GitLab's own rules say. */
  requiredApprovals?: number | null;
}

/**
 * Tracks a repository: finds it, and asks for the jobs that clone it, index it and read its merge requests.
 * @returns our id of it
 * @throws ApplicationFailure `NotInGitLab`, `RateLimited`, `InvalidCredentials`, `SettingMissing`, `GitLabFault`
 */
export async function trackRepository({ path, requiredApprovals }: TrackInput): Promise<number> {
  const found = await gitlabListing.lookUpRepository(path, new Date().toISOString());
  if ('endedEarly' in found) {
    const isLimited = found.endedEarly === 'rate_limited';
    throw ApplicationFailure.create({
      type: isLimited ? 'RateLimited' : 'InvalidCredentials',
      nonRetryable: true,
      message: isLimited
        ? `GitLab's rate limit is used up; try again after ${found.retryAt ?? 'a while'}`
        : 'GitLab does not accept GITLAB_TOKEN',
    });
  }
  const { repositoryId } = found;
  await repositoryRecords.trackRepository({
    repositoryId,
    ...(requiredApprovals !== undefined && { requiredApprovals }),
  });
  return repositoryId;
}
