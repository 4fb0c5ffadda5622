import { createCacheEviction, type CacheEvictionDependencies } from './cache.ts';
import { createChecks, type ChecksDependencies } from './checks.ts';
import { createCommitAuthors } from './commit-authors.ts';
import { createCommitStatuses } from './commit-statuses.ts';
import { createCommits } from './commits.ts';
import { createCommitsSize } from './commits-size.ts';
import { createCoverage } from './coverage.ts';
import { createDeliveryAttempts, type DeliveryAttempts } from './delivery-attempts.ts';
import { createDeliveryRecords, type DeliveryRecords } from './delivery-records.ts';
import { createDestruction, type DestructionDependencies } from './destroy-repository.ts';
import { createFirstAttempts, type FirstAttempts, type FirstAttemptsDependencies } from './first-attempts.ts';
import { createGitlabHooks, type GitlabHooks, type GitlabHooksDependencies } from './gitlab-hooks.ts';
import { createGitlabListing, type GitlabListing } from './gitlab-listing.ts';
import { createGitlabRuns, type GitlabRuns } from './gitlab-runs.ts';
import { createJobs, type JobActivities } from './jobs.ts';
import { createMergeRequestSync } from './merge-request-sync.ts';
import { createMergeability, type MergeabilityDependencies } from './mergeability.ts';
import { createOrganizationRepositories } from './organization-repositories.ts';
import { createPermissions } from './permissions.ts';
import { createRepositoryRecords, type RepositoryRecords } from './repositories.ts';
import { createRetention, type Retention, type RetentionDependencies } from './retention.ts';
import { createReviewDecision } from './review-decision.ts';
import { createSearch } from './search.ts';
import { createTestSends, type TestSends } from './test-sends.ts';
import { createUpkeep, type Upkeep, type UpkeepDependencies } from './upkeep.ts';

export type ActivityDependencies = FirstAttemptsDependencies &
  GitlabHooksDependencies &
  MergeabilityDependencies &
  RetentionDependencies &
  CacheEvictionDependencies &
  ChecksDependencies &
  DestructionDependencies &
  UpkeepDependencies;

/** On task queue `egress`. */
export type EgressActivities = DeliveryAttempts & FirstAttempts & TestSends;
/** On task queue `gitlab`. */
export type GitlabActivities = GitlabHooks & GitlabListing & Partial<JobActivities>;
/** On task queue `git`. */
export type GitActivities = Partial<JobActivities>;
/** On task queue `forgeflow`. */
export type RecordActivities = DeliveryRecords &
  GitlabRuns &
  RepositoryRecords &
  Retention &
  Upkeep &
  Partial<JobActivities>;
/** On task queue `checks`. */
export type CheckActivities = Partial<JobActivities>;

/** All activities, by the task queue that serves them. */
export interface Activities {
  forgeflow: RecordActivities;
  egress: EgressActivities;
  gitlab: GitlabActivities;
  git: GitActivities;
  checks: CheckActivities;
}

export function createActivities(dependencies: ActivityDependencies): Activities {
  const jobs = createJobs({
    ...createMergeability(dependencies),
    ...createMergeRequestSync(dependencies),
    ...createReviewDecision(dependencies),
    ...createSearch(dependencies),
    ...createCacheEviction(dependencies),
    ...createChecks(dependencies),
    ...createCommitAuthors(dependencies),
    ...createCommits(dependencies),
    ...createCommitsSize(dependencies),
    ...createCommitStatuses(dependencies),
    ...createCoverage(dependencies),
    ...createDestruction(dependencies),
    ...createOrganizationRepositories(dependencies),
    ...createPermissions(dependencies),
  });
  return {
    forgeflow: {
      ...createDeliveryRecords(dependencies),
      ...createGitlabRuns(dependencies),
      ...createRepositoryRecords(dependencies),
      ...createRetention(dependencies),
      ...createUpkeep(dependencies),
      ...jobs.forgeflow,
    },
    egress: {
      ...createDeliveryAttempts(dependencies),
      ...createFirstAttempts(dependencies),
      ...createTestSends(dependencies),
    },
    gitlab: { ...createGitlabHooks(dependencies), ...createGitlabListing(dependencies), ...jobs.gitlab },
    git: jobs.git,
    checks: jobs.checks,
  };
}
