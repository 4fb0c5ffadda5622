import { listMergeRequests } from '../database/merge-requests.ts';
import type { MergeRequestRecord } from '../database/merge-request-records.ts';
import { readOverview, type RepositoryOverview } from '../database/repository-overview.ts';
import { findRepositoryByPath } from '../database/repositories.ts';
import { readUpkeep } from '../database/repository-upkeep.ts';
import { findTrackedByPath } from '../database/tracked-repositories.ts';
import type { MergeState } from '../domain/merge-state.ts';
import { invalid } from '../domain/refusal.ts';
import type { ReviewDecision } from '../domain/review-decision.ts';
import type { StatusState } from '../domain/status-rollup.ts';
import { reach } from '../temporal/connection.ts';
import type { ClientContext } from './context.ts';
import { notTracked } from './tracked-repository.ts';
import { createRepositoryToken, type RepositoryToken, revokeRepositoryToken } from './repository-tokens.ts';
import { type CoverageTotals, presentDetails, type RepositoryDetails, totals } from './repository-details.ts';

/** A tracked repository. Times are ISO 8601, absent is null. */
export interface Repository {
  /** Ours, which job payloads have. */
  id: number;
  gitlabId: number;
  path: string;
  trackedAt: string;
  /** Null where it has no commits, or before it was first looked at. */
  defaultBranch: string | null;
  headSha: string | null;
  /** How many approvals a merge request needs; null: as GitLab's own rules say, and where it has none, one. */
  requiredApprovals: number | null;
  /** What its clone takes on disk, and when it was last brought up to date. */
  cloneBytes: number | null;
  fetchedAt: string | null;
  openMergeRequests: number;
  /** What its commits take together, each with all its files; null before it was first summed up. */
  commitsSize: number | null;
  /** Of the default branch, and the commit that it is of. */
  coverage: (CoverageTotals & { sha: string | null }) | null;
  /** Users who may see it, and when GitLab's list of them was last read. */
  members: number;
  permissionsReadAt: string | null;
  /** The code search index; null before it was first made. */
  index: { commit: string | null; indexedAt: string; files: number; truncated: boolean } | null;
}

/** An open merge request, and what the jobs have found out of it. */
export interface MergeRequestStatus {
  /** Ours, which job payloads have. */
  id: number;
  /** GitLab's number within the repository. */
  iid: number;
  title: string;
  sourceBranch: string;
  targetBranch: string;
  /** `unknown` from a push of either branch until the job has run. */
  mergeState: MergeState;
  mergeable: boolean | null;
  rebaseable: boolean | null;
  ahead: number | null;
  behind: number | null;
  changedFiles: number | null;
  additions: number | null;
  deletions: number | null;
  /** Null where there is nothing to decide, or nothing is known yet. */
  reviewDecision: ReviewDecision | null;
  /** What the statuses of its head commit come to; null without any. */
  statuses: StatusState | null;
}

export interface RepositoryWithMergeRequests extends Repository, RepositoryDetails {
  /** The newest 100 that are open. */
  mergeRequests: MergeRequestStatus[];
}

export interface AddOptions {
  /** How many approvals a merge request needs; null: as GitLab's own rules say. */
  requiredApprovals?: number | null | undefined;
}

const MERGE_REQUESTS_SHOWN = 100;
const MOST_APPROVALS = 100;

/** The repositories that are cloned, indexed and looked after, by path. */
export class Repositories {
  readonly #context: ClientContext;

  constructor(context: ClientContext) {
    this.#context = context;
  }

  /**
   * Tracks a repository from now on; the jobs for it are under way then. One that is tracked already stays so.
   * @param path in GitLab, `group/project`
   * @throws Refusal `not_found` for one that GitLab does not show; Error with the reason
   */
  async add(path: string, { requiredApprovals }: AddOptions = {}): Promise<Repository> {
    const wanted = checkPath(path);
    checkApprovals(requiredApprovals);
    const { db, temporal } = this.#context;
    await reach(temporal);
    const { runTracking } = await import('../temporal/repositories.ts');
    const id = await runTracking(temporal, {
      path: wanted,
      ...(requiredApprovals !== undefined && { requiredApprovals }),
    });
    const added = (await readOverview(db)).find((repository) => repository.id === id);
    if (added === undefined) throw new Error(`the repository ${wanted} was removed meanwhile`);
    return present(added);
  }

  /** All of them, by path. */
  async list(): Promise<Repository[]> {
    return (await readOverview(this.#context.db)).map(present);
  }

  /** @throws Refusal `not_found` */
  async show(path: string): Promise<RepositoryWithMergeRequests> {
    const { db } = this.#context;
    const found = await this.#find(path);
    const [upkeep, mergeRequests] = await Promise.all([
      readUpkeep(db, found.id),
      listMergeRequests(db, { repositoryId: found.id, onlyOpen: true, limit: MERGE_REQUESTS_SHOWN }),
    ]);
    return { ...present(found), ...presentDetails(upkeep), mergeRequests: mergeRequests.map(presentMergeRequest) };
  }

  /**
   * Leaves nothing of it: its jobs are cancelled, and its webhook at GitLab, its clone, its cached artefacts and all that is
   * known of it go. Waits for the end of that, which is once GitLab's rate limit allows it.
   * @throws Refusal `not_found`; Error with the reason, where it could not be done; then what is left of it is removed by
   *   doing it once more
   */
  async remove(path: string): Promise<void> {
    const { db, temporal } = this.#context;
    const wanted = checkPath(path);
    // One that is listed alone has its webhook, as has one whose removal did not get to its end.
    const found = (await findTrackedByPath(db, wanted)) ?? (await findRepositoryByPath(db, wanted));
    if (found === undefined) throw notTracked(path);
    await reach(temporal);
    const { runRemoval } = await import('../temporal/repositories.ts');
    await runRemoval(temporal, { id: found.id, path: found.path });
  }

  /**
   * Makes a token by which its CI sends coverage and uses the cache; the one before is worth nothing from then on.
   * @returns it, in clear this once @throws Refusal `not_found`
   */
  async createToken(path: string): Promise<RepositoryToken> {
    return createRepositoryToken(this.#context.db, path);
  }

  /** Takes its token away. @throws Refusal `not_found` */
  async revokeToken(path: string): Promise<void> {
    await revokeRepositoryToken(this.#context.db, path);
  }

  async #find(path: string): Promise<RepositoryOverview> {
    const [found] = await readOverview(this.#context.db, checkPath(path));
    if (found === undefined) throw notTracked(path);
    return found;
  }
}

function checkPath(path: string): string {
  const trimmed = path.replace(/^\/+|\/+$/g, '');
  if (!/^[^\s/?#]+(\/[^\s/?#]+)+$/.test(trimmed) || trimmed.length > 1_000)
    throw invalid('path', 'it is not the path of a repository, group/project');
  return trimmed;
}

function checkApprovals(count: number | null | undefined): void {
  if (count === undefined || count === null) return;
  if (!Number.isInteger(count) || count < 0 || count > MOST_APPROVALS)
    throw invalid('requiredApprovals', `it is not a whole number from 0 to ${MOST_APPROVALS}`);
}

function present(found: RepositoryOverview): Repository {
  const { indexedAt, indexedCommit, indexedFiles, isIndexTruncated, trackedAt, fetchedAt, ...others } = found;
  const { covered, total, coverageSha, permissionsReadAt, ...rest } = others;
  return {
    ...rest,
    coverage: covered === null || total === null ? null : { ...totals({ covered, total }), sha: coverageSha },
    permissionsReadAt: permissionsReadAt?.toISOString() ?? null,
    trackedAt: trackedAt.toISOString(),
    fetchedAt: fetchedAt?.toISOString() ?? null,
    index:
      indexedAt === null
        ? null
        : {
            commit: indexedCommit,
            indexedAt: indexedAt.toISOString(),
            files: indexedFiles ?? 0,
            truncated: isIndexTruncated ?? false,
          },
  };
}

function presentMergeRequest(found: MergeRequestRecord): MergeRequestStatus {
  const { id, iid, title, sourceBranch, targetBranch, mergeability, decision } = found;
  const { state: mergeState, mergeable, rebaseable, ahead, behind, changedFiles, additions, deletions } = mergeability;
  return {
    id,
    iid,
    title,
    sourceBranch,
    targetBranch,
    mergeState,
    mergeable,
    rebaseable,
    ahead,
    behind,
    changedFiles,
    additions,
    deletions,
    reviewDecision: decision.review,
    statuses: decision.statuses,
  };
}
