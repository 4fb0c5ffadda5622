import { sql } from 'kysely';
import type { Database } from './connection.ts';
import type { TrackedRepository } from './tracked-repositories.ts';

/** A tracked repository with what the jobs have found out of it. */
export interface RepositoryOverview extends TrackedRepository {
  openMergeRequests: number;
  /** Null before it was first indexed. */
  indexedAt: Date | null;
  /** Null where it had no commits. */
  indexedCommit: string | null;
  indexedFiles: number | null;
  /** Whether it has more files than are indexed. */
  isIndexTruncated: boolean | null;
  /** What its commits take together; null before it was first summed up. */
  commitsSize: number | null;
  /** Of the default branch: lines, and the commit that they are of. */
  covered: number | null;
  total: number | null;
  coverageSha: string | null;
  members: number;
  /** Null before its members were first read. */
  permissionsReadAt: Date | null;
}

/** All that are tracked, by path. @param path only the one that was last seen with it; GitLab's paths ignore case */
export async function readOverview(db: Database, path?: string): Promise<RepositoryOverview[]> {
  const { rows } = await sql<
    Omit<RepositoryOverview, 'gitlabId' | 'cloneBytes' | 'commitsSize'> &
      Record<'gitlabId', string> &
      Record<'cloneBytes' | 'commitsSize', string | null>
  >`
    select repositories.id, gitlab_id as "gitlabId", path, tracked_at as "trackedAt", default_branch as "defaultBranch",
      repositories.head_sha as "headSha", required_approvals as "requiredApprovals", fetched_at as "fetchedAt",
      clone_bytes as "cloneBytes", (
        select count(*)::int from merge_requests where repository_id = repositories.id and state = 'opened'
      ) as "openMergeRequests",
      indexed_at as "indexedAt", commit_sha as "indexedCommit", files as "indexedFiles",
      truncated as "isIndexTruncated", commits_size as "commitsSize", covered, total, coverage_sha as "coverageSha",
      (select count(*)::int from permissions where repository_id = repositories.id) as members,
      permissions_read_at as "permissionsReadAt"
    from repositories
    left join search_indexes on search_indexes.repository_id = repositories.id
    left join branches on branches.repository_id = repositories.id and branches.name = default_branch
    where tracked_at is not null ${path === undefined ? sql`` : sql`and lower(path) = lower(${path})`}
    order by ${path === undefined ? sql`lower(path), repositories.id` : sql`last_seen_at desc, repositories.id desc limit 1`}
  `.execute(db);
  return rows.map((row) => ({
    ...row,
    gitlabId: Number(row.gitlabId),
    cloneBytes: row.cloneBytes === null ? null : Number(row.cloneBytes),
    commitsSize: row.commitsSize === null ? null : Number(row.commitsSize),
  }));
}
