export { ForgeflowClient } from './client/forgeflow-client.ts';
export type { CoverageReportEntry, SubmittedReport } from './client/coverage.ts';
export type { Attempt, Delivery, DeliveryFilterInput, DeliveryWithAttempts } from './client/deliveries.ts';
export type { Publication, PublishedEvent } from './bus/outbox.ts';
export type { RepositoryToken } from './client/repository-tokens.ts';
export type { Commit, CommitCoverageStatus, CommitDetails } from './client/commits.ts';
export type { EnqueuedJob, JobFilter, JobStatus, KindStatus } from './client/jobs.ts';
export type { AddOptions, MergeRequestStatus, Repository, RepositoryWithMergeRequests } from './client/repositories.ts';
export type {
  BranchStatus,
  CoverageReportStatus,
  CoverageTotals,
  RepositoryDetails,
} from './client/repository-details.ts';
export type { SearchOptions, SearchResult, SearchResults } from './client/search.ts';
export type { Secret, SecretScope } from './client/secrets.ts';
export type { Backlog, QueueStatus, SystemStatus, TrippedStatus } from './client/status.ts';
export type {
  NewSubscriptionInput,
  Subscription,
  SubscriptionChange,
  SubscriptionWithSecret,
} from './client/subscriptions.ts';
export { type Config, ConfigError, loadConfig } from './config.ts';
export type { AcceptedReport } from './domain/coverage-report.ts';
export type { Lane } from './domain/lane.ts';
export { Refusal } from './domain/refusal.ts';
