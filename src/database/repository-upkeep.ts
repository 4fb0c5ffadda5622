import { sql } from 'kysely';
import type { CheckOfCommit } from '../domain/check-status.ts';
import type { ChecksState, CommitState } from '../domain/commit.ts';
import type { ReportState } from '../domain/coverage-report.ts';
import type { HookState } from '../domain/hook-state.ts';
import type { Role } from '../domain/permissions.ts';
import { checkOfRow, type CheckRow } from './check-rows.ts';
import type { Database } from './connection.ts';

/** What upkeep knows of one repository, besides what the list of them shows. */
export interface RepositoryUpkeep {
  /** The default branch first, then those that moved last. */
  branches: BranchOverview[];
  /** How many more branches there are. */
  moreBranches: number;
  commits: { count: number; errored: number };
  members: Partial<Record<Role, number>>;
  permissionsReadAt: Date | null;
  /** Null before GitLab was asked for it. */
  webhook: { state: HookState; reason: string | null } | null;
  hasToken: boolean;
  /** Those that wait for their commit, and those that came to nothing, newest first. */
  reports: ReportOverview[];
}

export interface BranchOverview {
  name: string;
  headSha: string;
  /** Null where nobody has processed it yet. */
  commit: {
    id: number;
    state: CommitState;
    failure: string | null;
    title: string | null;
    authorName: string | null;
    /** Null: it is no user of GitLab that we know. */
    username: string | null;
    authoredAt: Date | null;
    checksState: ChecksState;
    checksDetail: string | null;
    checks: CheckOfCommit[];
  } | null;
  covered: number | null;
  total: number | null;
  /** The commit that is covered so; it may be an older one than the head. */
  coverageSha: string | null;
}

export interface ReportOverview {
  id: number;
  sha: string;
  state: ReportState;
  problem: string | null;
  receivedAt: Date;
}

const BRANCHES_SHOWN = 20;
const REPORTS_SHOWN = 5;

export async function readUpkeep(db: Database, repositoryId: number): Promise<RepositoryUpkeep> {
  const [branches, members, reports, { rows: facts }] = await Promise.all([
    readBranches(db, repositoryId),
    readMembers(db, repositoryId),
    readReports(db, repositoryId),
    sql<Facts>`
      select (select count(*)::int from commits where repository_id = repositories.id) as commits,
        (select count(*)::int from commits where repository_id = repositories.id and state = 'errored') as errored,
        (select count(*)::int from branches where repository_id = repositories.id) as branches,
        permissions_read_at as "permissionsReadAt", repositories.token_hash is not null as "hasToken",
        gitlab_hooks.state as "hookState", gitlab_hooks.reason as "hookReason"
      from repositories left join gitlab_hooks on gitlab_hooks.repository_id = repositories.id
      where repositories.id = ${repositoryId}
    `.execute(db),
  ]);
  const { hookState, hookReason, commits, errored, branches: all, ...rest } = facts[0] ?? NO_FACTS;
  return {
    ...rest,
    branches,
    moreBranches: Math.max(0, all - branches.length),
    commits: { count: commits, errored },
    members,
    webhook: hookState === null ? null : { state: hookState, reason: hookReason },
    reports,
  };
}

interface Facts {
  commits: number;
  errored: number;
  branches: number;
  permissionsReadAt: Date | null;
  hasToken: boolean;
  hookState: HookState | null;
  hookReason: string | null;
}

const NO_FACTS: Facts = {
  commits: 0,
  errored: 0,
  branches: 0,
  permissionsReadAt: null,
  hasToken: false,
  hookState: null,
  hookReason: null,
};

type BranchRow = Omit<BranchOverview, 'commit'> &
  Omit<NonNullable<BranchOverview['commit']>, 'id' | 'checks'> & { commitId: number | null; checks: CheckRow[] };

async function readBranches(db: Database, repositoryId: number): Promise<BranchOverview[]> {
  const { rows } = await sql<BranchRow>`
    select branches.name, branches.head_sha as "headSha", covered, total, coverage_sha as "coverageSha",
      commits.id as "commitId", commits.state, failure, title, author_name as "authorName", username,
      authored_at as "authoredAt", checks_state as "checksState", checks_detail as "checksDetail", (
        select coalesce(
          json_agg(json_build_object('plugin', plugin, 'state', state, 'problems', problems, 'reason', reason) order by plugin),
          '[]'
        ) from checks where commit_id = commits.id
      ) as checks
    from branches
    join repositories on repositories.id = branches.repository_id
    left join commits on commits.repository_id = branches.repository_id and commits.sha = branches.head_sha
    left join users on users.id = author_id
    where branches.repository_id = ${repositoryId}
    order by branches.name = default_branch desc, updated_at desc, branches.name
    limit ${BRANCHES_SHOWN}
  `.execute(db);
  return rows.map(({ name, headSha, covered, total, coverageSha, commitId, checks, ...commit }) => ({
    name,
    headSha,
    covered,
    total,
    coverageSha,
    commit: commitId === null ? null : { id: commitId, ...commit, checks: checks.map(checkOfRow) },
  }));
}

async function readMembers(db: Database, repositoryId: number): Promise<Partial<Record<Role, number>>> {
  const rows = await db
    .selectFrom('permissions')
    .select(['role', ({ fn }) => fn.countAll<string>().as('count')])
    .where('repository_id', '=', repositoryId)
    .groupBy('role')
    .execute();
  return Object.fromEntries(rows.map(({ role, count }) => [role, Number(count)]));
}

async function readReports(db: Database, repositoryId: number): Promise<ReportOverview[]> {
  return db
    .selectFrom('coverage_reports')
    .select(['id', 'sha', 'state', 'problem', 'received_at as receivedAt'])
    .where('repository_id', '=', repositoryId)
    .where('state', 'in', ['held', 'dropped', 'failed'])
    .orderBy('id', 'desc')
    .limit(REPORTS_SHOWN)
    .execute();
}
