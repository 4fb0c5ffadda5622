import { sql } from 'kysely';
import type { CheckState, ChecksState, CommitState } from '../domain/commit.ts';
import type { ProblemLevel } from '../domain/sarif-log.ts';
import type { Database } from './connection.ts';

/** A commit that was processed, or is to be. */
export interface CommitOverview {
  id: number;
  sha: string;
  state: CommitState;
  failure: string | null;
  title: string | null;
  authorName: string | null;
  username: string | null;
  authoredAt: Date | null;
  sizeBytes: number | null;
  checksState: ChecksState;
  checksDetail: string | null;
  checks: CheckDetails[];
  coverage: CommitCoverage | null;
  /** Branches that it is the head of. */
  branches: string[];
  createdAt: Date;
}

/** One check of a commit. */
export interface CheckDetails {
  /** Ours, which job payloads have. */
  id: number;
  plugin: string;
  state: CheckState;
  problems: number | null;
  /** How many of these are not kept. */
  omitted: number | null;
  /** Why it failed, and the last that it printed. */
  reason: string | null;
  printed: string | null;
  /** As JSON has them. */
  startedAt: string | null;
  finishedAt: string | null;
}

export interface CommitCoverage {
  format: 'lcov' | 'cobertura';
  covered: number;
  total: number;
  minPercent: number | null;
  excludedFiles: number;
  isEnough: boolean;
  description: string;
}

export interface ProblemDetails {
  plugin: string;
  path: string | null;
  line: number | null;
  column: number | null;
  ruleId: string | null;
  level: ProblemLevel;
  message: string;
}

export interface FileLines {
  path: string;
  covered: number;
  total: number;
}

/** The newest of a repository's commits; with a part of an id, those whose id begins so. */
export async function listCommits(
  db: Database,
  { repositoryId, shaBegin = '', limit }: { repositoryId: number; shaBegin?: string; limit: number },
): Promise<CommitOverview[]> {
  const { rows } = await sql<Omit<CommitOverview, 'sizeBytes'> & { sizeBytes: string | null }>`
    select commits.id, sha, state, failure, title, author_name as "authorName", username, authored_at as "authoredAt",
      size_bytes as "sizeBytes", checks_state as "checksState", checks_detail as "checksDetail",
      commits.created_at as "createdAt", (
        select coalesce(json_agg(json_build_object(
          'id', id, 'plugin', plugin, 'state', state, 'problems', problems, 'omitted', omitted, 'reason', reason,
          'printed', printed, 'startedAt', started_at, 'finishedAt', finished_at
        ) order by plugin), '[]') from checks where commit_id = commits.id
      ) as checks, (
        select json_build_object(
          'format', format, 'covered', covered, 'total', total, 'minPercent', min_percent,
          'excludedFiles', excluded_files, 'isEnough', is_enough, 'description', description
        ) from commit_coverage where commit_id = commits.id
      ) as coverage, array(
        select name from branches where repository_id = commits.repository_id and head_sha = sha order by name
      ) as branches
    from commits left join users on users.id = author_id
    where repository_id = ${repositoryId} and starts_with(sha, ${shaBegin})
    order by commits.id desc limit ${limit}
  `.execute(db);
  return rows.map((row) => ({ ...row, sizeBytes: row.sizeBytes === null ? null : Number(row.sizeBytes) }));
}

export async function listProblems(db: Database, commitId: number, limit: number): Promise<ProblemDetails[]> {
  return db
    .selectFrom('problems')
    .innerJoin('checks', 'checks.id', 'check_id')
    .select(['plugin', 'path', 'line', 'column', 'rule_id as ruleId', 'level', 'message'])
    .where('commit_id', '=', commitId)
    .orderBy('plugin')
    .orderBy('number')
    .limit(limit)
    .execute();
}

/** The files of a commit's coverage, those with the most lines that did not run first. */
export async function listCoverageFiles(db: Database, commitId: number, limit: number): Promise<FileLines[]> {
  return db
    .selectFrom('coverage_files')
    .select(['path', 'covered', 'total'])
    .where('commit_id', '=', commitId)
    .orderBy(sql`total - covered`, 'desc')
    .orderBy('path')
    .limit(limit)
    .execute();
}
