import { sql } from 'kysely';
import type { ChecksStatus } from '../domain/check-status.ts';
import type { PostedStatus, ReportedCommit } from '../domain/commit-statuses.ts';
import { checkOfRow, type CheckRow } from './check-rows.ts';
import type { Database } from './connection.ts';

export interface CommitToReport extends ReportedCommit {
  sha: string;
  /** Of the project that it is in. */
  gitlabProjectId: number;
  /** What GitLab was last told of it, by the names of the statuses. */
  told: ReadonlyMap<string, ChecksStatus>;
}

/** @returns undefined where there is no such commit, or its repository is not tracked */
export async function readCommitToReport(db: Database, commitId: number): Promise<CommitToReport | undefined> {
  // In one statement, so that all of it is of one moment.
  const { rows } = await sql<Row>`
    select sha, state, failure, checks_state as "checksState", checks_detail as "checksDetail", gitlab_id as "gitlabId", (
      select coalesce(json_agg(
        json_build_object('plugin', plugin, 'state', state, 'problems', problems, 'reason', reason) order by id
      ), '[]') from checks where commit_id = commits.id
    ) as checks, (
      select json_build_object('isEnough', is_enough, 'description', description)
      from commit_coverage where commit_id = commits.id
    ) as coverage, (
      select coalesce(json_agg(json_build_object('name', name, 'state', state, 'description', description)), '[]')
      from commit_statuses where commit_id = commits.id
    ) as told
    from commits join repositories on repositories.id = repository_id
    where commits.id = ${commitId} and tracked_at is not null
  `.execute(db);
  const [row] = rows;
  if (row === undefined) return undefined;
  const { checks, told, gitlabId, ...rest } = row;
  return {
    ...rest,
    gitlabProjectId: Number(gitlabId),
    checks: checks.map(checkOfRow),
    told: new Map(told.map(({ name, ...status }) => [name, status])),
  };
}

type Row = Pick<CommitToReport, 'sha' | 'state' | 'failure' | 'checksState' | 'checksDetail' | 'coverage'> & {
  gitlabId: string;
  checks: CheckRow[];
  told: PostedStatus[];
};

/** GitLab has been told. Nothing is written where the commit is gone, or its repository not tracked any more. */
export async function recordStatus(
  db: Database,
  commitId: number,
  { name, state, description }: PostedStatus,
): Promise<void> {
  await sql`
    with commit as (
      select commits.id from commits join repositories on repositories.id = repository_id
      where commits.id = ${commitId} and tracked_at is not null for key share of repositories
    )
    insert into commit_statuses (commit_id, name, state, description)
    select id, ${name}, ${state}, ${description} from commit
    on conflict (commit_id, name) do update
      set state = excluded.state, description = excluded.description, posted_at = now()
  `.execute(db);
}
