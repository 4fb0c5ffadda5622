import { type RawBuilder, type Selectable, sql } from 'kysely';
import type { MergeRequestState } from '../domain/merge-request.ts';
import type { Mergeability } from '../domain/merge-state.ts';
import type { ReviewDecision } from '../domain/review-decision.ts';
import type { StatusState } from '../domain/status-rollup.ts';
import type { Database } from './connection.ts';
import type { MergeRequestTable, RepositoryTable } from './tables.ts';

/** What is known of a merge request, for the jobs that are about it. */
export interface MergeRequestRecord {
  /** Ours. */
  id: number;
  repository: {
    /** Ours. */
    id: number;
    gitlabId: number;
    path: string;
    defaultBranch: string | null;
    /** Null: as GitLab's own rules say. */
    requiredApprovals: number | null;
  };
  gitlabId: number;
  iid: number;
  title: string;
  sourceBranch: string;
  targetBranch: string;
  /** Null where the fork that it comes from is gone. */
  sourceGitlabProjectId: number | null;
  headSha: string | null;
  isDraft: boolean;
  state: MergeRequestState;
  /** GitLab's ids; null while GitLab has not said. */
  reviewers: number[] | null;
  /** Goes up with every change that makes a computed mergeability outdated. */
  revision: number;
  mergeability: StoredMergeability;
  decision: StoredDecision;
}

/** The state is `unknown`, and all else null, from a change until the job has run. */
export interface StoredMergeability extends Mergeability {
  ahead: number | null;
  behind: number | null;
  changedFiles: number | null;
  additions: number | null;
  deletions: number | null;
  /** The commits that it was computed from; null for a branch that was not there. */
  headSha: string | null;
  baseSha: string | null;
  at: Date | null;
}

/** All null from a change of the head until the job has run. */
export interface StoredDecision {
  /** Null with a time: there was nothing to decide. */
  review: ReviewDecision | null;
  statuses: StatusState | null;
  headSha: string | null;
  at: Date | null;
}

/** For statements about `merge_request` and its `repository`, which is tracked. */
export const ofTrackedRepositories = sql`
  merge_requests as merge_request
  join repositories as repository on repository.id = merge_request.repository_id and repository.tracked_at is not null
`;

/** As in the partial indexes. One that is `locked` is about to be merged: nothing is to be said of it any more. */
export const isOpen = sql<boolean>`merge_request.state = 'opened'`;

type MergeRequestRow = Selectable<MergeRequestTable> &
  Pick<Selectable<RepositoryTable>, 'path' | 'default_branch' | 'required_approvals'> & { project_id: string };

/** @param limit null: all of them */
export async function readMergeRequests(
  db: Database,
  condition: RawBuilder<unknown>,
  limit: number | null = null,
): Promise<MergeRequestRecord[]> {
  const { rows } = await sql<MergeRequestRow>`
    select merge_request.*, repository.gitlab_id as project_id, repository.path, repository.default_branch,
      repository.required_approvals
    from ${ofTrackedRepositories} where ${condition}
    order by merge_request.iid desc, merge_request.id desc limit ${limit}::bigint
  `.execute(db);
  return rows.map(recordOf);
}

function recordOf(row: MergeRequestRow): MergeRequestRecord {
  return {
    id: row.id,
    repository: {
      id: row.repository_id,
      gitlabId: Number(row.project_id),
      path: row.path,
      defaultBranch: row.default_branch,
      requiredApprovals: row.required_approvals,
    },
    gitlabId: Number(row.gitlab_id),
    iid: row.iid,
    title: row.title,
    sourceBranch: row.source_branch,
    targetBranch: row.target_branch,
    sourceGitlabProjectId: row.source_gitlab_project_id === null ? null : Number(row.source_gitlab_project_id),
    headSha: row.head_sha,
    isDraft: row.is_draft,
    state: row.state,
    reviewers: row.reviewers?.map(Number) ?? null,
    revision: row.revision,
    mergeability: {
      state: row.merge_state,
      mergeable: row.mergeable,
      rebaseable: row.rebaseable,
      ahead: row.ahead,
      behind: row.behind,
      changedFiles: row.changed_files,
      additions: row.additions,
      deletions: row.deletions,
      headSha: row.computed_head,
      baseSha: row.computed_base,
      at: row.mergeability_at,
    },
    decision: {
      review: row.review_decision,
      statuses: row.status_rollup,
      headSha: row.decided_head,
      at: row.decided_at,
    },
  };
}
