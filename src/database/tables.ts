import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely';
import type { ChecksState, CheckState, CommitState } from '../domain/commit.ts';
import type { ReportState } from '../domain/coverage-report.ts';
import type { DeliveryState } from '../domain/delivery.ts';
import type { AlertStatus, HookOutcome, HookState } from '../domain/hook-state.ts';
import type { EndedEarly, OutcomeCounts } from '../domain/install-run.ts';
import type { Lane } from '../domain/lane.ts';
import type { MergeRequestState } from '../domain/merge-request.ts';
import type { MergeState } from '../domain/merge-state.ts';
import type { Role } from '../domain/permissions.ts';
import type { ReviewDecision } from '../domain/review-decision.ts';
import type { ProblemLevel } from '../domain/sarif-log.ts';
import type { StatusState } from '../domain/status-rollup.ts';
import type { SubscriptionState } from '../domain/subscription.ts';

/** Set by the database when left out; a `Date` when read. */
type Created = ColumnType<Date, Date | undefined, never>;
/** An id of GitLab's. Postgres' bigint comes as text, since not all of them are safe numbers; GitLab's are. */
type GitlabId = ColumnType<string, number, number>;

export interface Tables {
  events: EventTable;
  subscriptions: SubscriptionTable;
  deliveries: DeliveryTable;
  attempts: AttemptTable;
  subscription_changes: SubscriptionChangesTable;
  gitlab_groups: GitlabGroupTable;
  repositories: RepositoryTable;
  gitlab_listings: GitlabListingTable;
  gitlab_hooks: GitlabHookTable;
  gitlab_runs: GitlabRunTable;
  merge_requests: MergeRequestTable;
  job_events: JobEventTable;
  job_requests: JobRequestTable;
  users: UserTable;
  user_emails: UserEmailTable;
  permissions: PermissionTable;
  commits: CommitTable;
  branches: BranchTable;
  commit_statuses: CommitStatusTable;
  checks: CheckTable;
  problems: ProblemTable;
  secrets: SecretTable;
  coverage_reports: CoverageReportTable;
  commit_coverage: CommitCoverageTable;
  coverage_files: CoverageFileTable;
  coverage_history: CoverageHistoryTable;
  search_indexes: SearchIndexTable;
  search_files: SearchFileTable;
  search_words: SearchWordsTable;
}

/** The outbox too: an event is published by being stored, and dispatched once its deliveries are. */
export interface EventTable {
  id: Generated<string>;
  topic: string;
  /** JSON as it was published, to the byte; text, not jsonb, since it is signed and sent as it came. */
  payload: string;
  /** What makes two publications the same event, besides the id; GitLab's idempotency key, for one. */
  dedupe_key: string | null;
  /** When its deliveries were written; null while that is still to be done. */
  dispatched_at: Date | null;
  created_at: Created;
}

export interface SubscriptionTable {
  id: string;
  name: string;
  url: string;
  patterns: string[];
  /** Sealed JSON object of the headers it adds; they often hold credentials. */
  headers_sealed: Buffer;
  secret_sealed: Buffer;
  /** The secret before the last rotation, which goes on signing until it expires. */
  previous_secret_sealed: Buffer | null;
  previous_secret_expires_at: Date | null;
  state: Generated<SubscriptionState>;
  lane: Generated<Lane>;
  consecutive_failures: Generated<number>;
  last_success_at: Date | null;
  last_failure_at: Date | null;
  last_error: string | null;
  tripped_at: Date | null;
  /** While tripped: when one delivery may go out to see whether the receiver is back. */
  next_probe_at: Date | null;
  /** The delivery that goes out for that, while it does. */
  probe_delivery_id: string | null;
  created_at: Created;
}

/** One row, whose version grows with every change of a subscription that matters to others than its books. */
export interface SubscriptionChangesTable {
  version: ColumnType<string, never, never>;
}

export interface GitlabGroupTable {
  id: GeneratedAlways<number>;
  gitlab_id: GitlabId;
  path: string;
  /** When its repositories were last listed to the end, how many they were, and what had changed since the list before. */
  listed_at: Date | null;
  listed: number | null;
  listing_changes: JSONColumnType<{ added: number; changed: number; gone: number } | null>;
  created_at: Created;
}

export interface RepositoryTable {
  id: GeneratedAlways<number>;
  gitlab_id: GitlabId;
  /** As it was when it was last seen. */
  path: string;
  /** The group that it was listed in. */
  group_id: number | null;
  last_seen_at: Date;
  created_at: Created;
  /** Since when it is cloned, indexed and looked after; null: it only has a webhook. */
  tracked_at: Date | null;
  /** Null where it has no commits, or before it was first looked at. */
  default_branch: string | null;
  /** Of the default branch, when a job last saw it. */
  head_sha: string | null;
  /** Null: as GitLab's own rules say, and where it has none, one. */
  required_approvals: number | null;
  /** When its clone was last brought up to date, and what that takes on disk. */
  fetched_at: Date | null;
  clone_bytes: ColumnType<string | null, number | null, number | null>;
  /** What its cloned commits take together, see `CommitTable`; null before it was first summed up. */
  commits_size: ColumnType<string | null, number | null, number | null>;
  /** SHA-256 of the token by which its CI sends coverage and uses the cache; null: it has none. */
  token_hash: Buffer | null;
  /** When its members were last read to the end. */
  permissions_read_at: Date | null;
  /** When the fetch began whose branches are those that `branches` has: an older one is not to overwrite them. */
  branches_read_at: Date | null;
  /** Since when GitLab does not show it any more. */
  gone_at: Date | null;
}

/** Of tracked repositories. */
export interface MergeRequestTable {
  id: GeneratedAlways<number>;
  repository_id: number;
  gitlab_id: GitlabId;
  iid: number;
  title: string;
  source_branch: string;
  target_branch: string;
  /** Where its head branch is; null where that fork is gone. */
  source_gitlab_project_id: ColumnType<string | null, number | null, number | null>;
  head_sha: string | null;
  is_draft: boolean;
  state: MergeRequestState;
  /** GitLab's ids of those asked for a review. */
  reviewers: ColumnType<string[] | null, number[] | null, number[] | null>;
  /** By GitLab's clock, for what overtakes one another. */
  gitlab_updated_at: Date | null;
  /** Grows with all that its mergeability depends on. */
  revision: Generated<number>;
  merge_state: Generated<MergeState>;
  mergeable: boolean | null;
  rebaseable: boolean | null;
  ahead: number | null;
  behind: number | null;
  changed_files: number | null;
  additions: number | null;
  deletions: number | null;
  /** The commits that was computed from. */
  computed_head: string | null;
  computed_base: string | null;
  mergeability_at: Date | null;
  review_decision: ReviewDecision | null;
  status_rollup: StatusState | null;
  decided_head: string | null;
  /** Null: neither of the two is known yet. */
  decided_at: Date | null;
  created_at: Created;
}

/** Events of GitLab that nobody has read yet for what they mean to jobs. */
export interface JobEventTable {
  event_id: string;
}

/** Jobs that Temporal is still to be told of. */
export interface JobRequestTable {
  id: GeneratedAlways<string>;
  kind: string;
  payload: JSONColumnType<Record<string, number | string>>;
  created_at: Created;
}

/** How far GitLab's lists of repositories were read. */
export interface GitlabListingTable {
  scope: string;
  /** Where to go on; null: at the beginning. */
  cursor: ColumnType<string | null, number | null, number | null>;
  started_at: Date;
  completed_at: Date | null;
}

/** The webhook of a repository or group that posts to our ingress, or is to; without an owner: one made by hand. */
export interface GitlabHookTable {
  id: Generated<string>;
  repository_id: number | null;
  group_id: number | null;
  state: Generated<HookState>;
  /** Why it is not installed, in a sentence. */
  reason: string | null;
  gitlab_hook_id: ColumnType<string | null, number | null, number | null>;
  /** SHA-256 of the token that its requests carry. */
  token_hash: Buffer | null;
  /** The same of the one before, which may still be the hook's, and that of requests on their way. */
  previous_token_hash: Buffer | null;
  secret_id: string | null;
  /** The token, to be sent again. */
  secret_sealed: Buffer | null;
  /** Whether GitLab is known to have it. */
  secret_arrived: Generated<boolean>;
  alert_status: AlertStatus | null;
  disabled_until: Date | null;
  /** When it first was in place. */
  installed_at: Date | null;
  last_checked_at: Date | null;
  /** When it is to be looked at again; means nothing while it is covered. */
  due_at: Generated<Date>;
  /** In a row. */
  failures: Generated<number>;
  last_run_id: string | null;
  last_outcome: HookOutcome | null;
  created_at: Created;
}

/** Runs of the installer. */
export interface GitlabRunTable {
  /** The first run id of its workflow. */
  id: string;
  workflow_id: string;
  /** Path of the one that it was for; null: all. */
  repository: string | null;
  started_at: Date;
  finished_at: Date | null;
  ended_early: EndedEarly | null;
  retry_at: Date | null;
  error: string | null;
  counts: JSONColumnType<OutcomeCounts | null>;
  /** What was still due at its end. */
  remaining: number | null;
}

export interface DeliveryTable {
  id: string;
  subscription_id: string;
  event_id: string;
  state: Generated<DeliveryState>;
  failure_detail: string | null;
  attempt_count: Generated<number>;
  date_created: Date;
  /** The very first attempt; a redelivery does not change it. */
  date_first_sent: Date | null;
  date_sent: Date | null;
  next_attempt_at: Date | null;
  /** When the 24 h began that the retries are counted in: the first attempt, or the first since a redelivery. */
  window_started_at: Date | null;
  /** When its workflow was told to go on, by being started or woken; null while a relay is still to do that. */
  started_at: Date | null;
  /**
   * The workflow that was told last: by the delivery's own id its own, or a batch of first attempts. Null: none since it was queued,
   * or an attempt has ended it; one that was ended otherwise may still be on its way.
   */
  carrier: string | null;
}

export interface AttemptTable {
  delivery_id: string;
  number: number;
  sent_at: Date;
  duration_ms: number;
  status_code: number | null;
  connection_error: string | null;
  response_headers: JSONColumnType<Record<string, string | string[]> | null>;
  response_body: Buffer | null;
  truncated: boolean;
}

/** What of a repository is in the index of code search; where this row goes, the rest goes with it. */
export interface SearchIndexTable {
  repository_id: number;
  /** How the rest is written: what another version of ours wrote is made anew. */
  format: number;
  /** Null: it had no commits. */
  commit_sha: string | null;
  indexed_at: Date;
  files: number;
  /** It has more files than are indexed. */
  truncated: boolean;
  /** The number that the next file gets. */
  next_file: number;
  /** How many files have gone whose numbers `search_words` still has. */
  stale_files: number;
}

export interface SearchFileTable {
  repository_id: number;
  /** As `search_words` has it; that of a file which changed is never used again. */
  number: number;
  /** The path as git has it, which need be no text; of a long one, a part and a hash. */
  path_key: Buffer;
  /** For people. */
  path: string;
  kind: 'file' | 'symlink' | 'submodule';
  /** Git's. */
  object_id: Buffer;
  /** Null where it is indexed by its path only. */
  content: string | null;
}

/** Which files each word is in; see `Vocabulary`. */
export interface SearchWordsTable {
  repository_id: number;
  /** What was indexed at one time has one, and so has what several were merged into. */
  segment: number;
  /** Within the segment. */
  number: number;
  kind: 'short' | 'long' | 'signs';
  words: string;
  files: Buffer;
}

/** Of GitLab; those that we have come across. */
export interface UserTable {
  id: GeneratedAlways<number>;
  gitlab_id: GitlabId;
  username: string;
  name: string;
  emails_read_at: Date | null;
  permissions_read_at: Date | null;
  created_at: Created;
}

/** Emails that users have proved to be theirs. */
export interface UserEmailTable {
  user_id: number;
  /** By `emailKey`. */
  email_key: string;
}

export interface PermissionTable {
  repository_id: number;
  user_id: number;
  role: Role;
}

/** Of tracked repositories; those that were processed, or are to be. */
export interface CommitTable {
  id: GeneratedAlways<number>;
  repository_id: number;
  sha: string;
  /** Whether it was cloned. */
  state: Generated<CommitState>;
  /** Why it was not, in a sentence. */
  failure: string | null;
  author_name: string | null;
  /** As git has it. */
  author_email: string | null;
  /** By `emailKey`. */
  author_email_key: string | null;
  author_id: number | null;
  authored_at: Date | null;
  /** The first line of its message. */
  title: string | null;
  /** What the files of its tree take together, as a check finds them. */
  size_bytes: ColumnType<string | null, number | null, number | null>;
  checks_state: Generated<ChecksState>;
  /** The manifest's fault, or another reason why no check was begun, in a sentence. */
  checks_detail: string | null;
  /** Grows with each time that its checks are begun. */
  checks_run: Generated<number>;
  created_at: Created;
  processed_at: Date | null;
}

export interface BranchTable {
  repository_id: number;
  name: string;
  head_sha: string;
  /** Lines of the last head whose coverage is known, and which one that is. */
  covered: number | null;
  total: number | null;
  coverage_sha: string | null;
  updated_at: ColumnType<Date, Date | undefined, Date>;
}

/** What GitLab was last told of a commit. */
export interface CommitStatusTable {
  commit_id: number;
  name: string;
  state: string;
  description: string;
  posted_at: ColumnType<Date, Date | undefined, Date>;
}

/** Of the last run of each commit. */
export interface CheckTable {
  id: GeneratedAlways<number>;
  commit_id: number;
  /** By `checks_run` of the commit. */
  run: number;
  plugin: string;
  state: Generated<CheckState>;
  /** What was found, and how many more than are kept. */
  problems: number | null;
  omitted: number | null;
  /** Why it failed: a sentence without its subject. */
  reason: string | null;
  /** The last that it printed where it failed. */
  printed: string | null;
  started_at: Date | null;
  finished_at: Date | null;
}

export interface ProblemTable {
  check_id: number;
  number: number;
  path: string | null;
  line: number | null;
  column: number | null;
  rule_id: string | null;
  level: ProblemLevel;
  message: string;
}

/** What checks are given as files. */
export interface SecretTable {
  id: GeneratedAlways<number>;
  /** Null: for all repositories; one of the repository's own of that name goes first. */
  repository_id: number | null;
  name: string;
  value_sealed: Buffer;
  updated_at: ColumnType<Date, Date | undefined, Date>;
}

/** Coverage reports as they came. */
export interface CoverageReportTable {
  id: GeneratedAlways<number>;
  repository_id: number;
  sha: string;
  /** Compressed by gzip; null once it is over. */
  content: Buffer | null;
  /** Before it was compressed. */
  size_bytes: number;
  state: Generated<ReportState>;
  problem: string | null;
  received_at: Created;
  finished_at: Date | null;
}

export interface CommitCoverageTable {
  commit_id: number;
  format: 'lcov' | 'cobertura';
  covered: number;
  total: number;
  min_percent: number | null;
  excluded_files: number;
  is_enough: boolean;
  description: string;
  report_id: number;
  processed_at: ColumnType<Date, Date | undefined, Date>;
}

export interface CoverageFileTable {
  commit_id: number;
  /** In the order of their paths, which can be longer than an index takes. */
  number: number;
  path: string;
  covered: number;
  total: number;
}

export interface CoverageHistoryTable {
  id: GeneratedAlways<number>;
  repository_id: number;
  branch: string;
  commit_id: number;
  covered: number;
  total: number;
  at: Created;
}
