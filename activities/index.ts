import {
  createDeliveryAttempts,
  type DeliveryAttempts,
  type DeliveryAttemptsDependencies,
} from './delivery-attempts.ts';
import { createDeliveryRecords, type DeliveryRecords } from './delivery-records.ts';
import { createGitlabHooks, type GitlabHooks, type GitlabHooksDependencies } from './gitlab-hooks.ts';
import { createGitlabListing, type GitlabListing } from './gitlab-listing.ts';
import { createGitlabRuns, type GitlabRuns } from './gitlab-runs.ts';
import { createJobs, type JobActivities } from './jobs.ts';
import { createMergeRequestSync } from './merge-request-sync.ts';
import { createMergeability, type MergeabilityDependencies } from './mergeability.ts';
import {
  createRepositoryClones,
  createRepositoryRecords,
  type RepositoryClones,
  type RepositoryRecords,
} from './repositories.ts';
import { createRetention, type Retention, type RetentionDependencies } from './retention.ts';
import { createReviewDecision } from './review-decision.ts';
import { createSearch } from './search.ts';
import { createTestSends, type TestSends } from './test-sends.ts';

export type ActivityDependencies = DeliveryAttemptsDependencies &
  GitlabHooksDependencies &
  MergeabilityDependencies &
  RetentionDependencies;

/** On task queue `egress`. */
export type EgressActivities = DeliveryAttempts & TestSends;
/** On task queue `gitlab`. */
export type GitlabActivities = GitlabHooks & GitlabListing & Partial<JobActivities>;
/** On task queue `git`. */
export type GitActivities = RepositoryClones & Partial<JobActivities>;
/** On task queue `forgeflow`. */
export type RecordActivities = DeliveryRecords & GitlabRuns & RepositoryRecords & Retention;

/** All activities, by the task queue that serves them. */
export interface Activities {
  forgeflow: RecordActivities;
  egress: EgressActivities;
  gitlab: GitlabActivities;
  git: GitActivities;
}

export function createActivities(dependencies: ActivityDependencies): Activities {
  const jobs = createJobs({
    ...createMergeability(dependencies),
    ...createMergeRequestSync(dependencies),
    ...createReviewDecision(dependencies),
    ...createSearch(dependencies),
  });
  return {
    forgeflow: {
      ...createDeliveryRecords(dependencies),
      ...createGitlabRuns(dependencies),
      ...createRepositoryRecords(dependencies),
      ...createRetention(dependencies),
    },
    egress: { ...createDeliveryAttempts(dependencies), ...createTestSends(dependencies) },
    gitlab: { ...createGitlabHooks(dependencies), ...createGitlabListing(dependencies), ...jobs.gitlab },
    git: { ...createRepositoryClones(dependencies), ...jobs.git },
  };
}
