import type { BranchOverview, RepositoryUpkeep } from '../database/repository-upkeep.ts';
import { textOfChecks } from '../domain/checks-text.ts';
import type { ChecksState, CommitState } from '../domain/commit.ts';
import { percentOf } from '../domain/coverage.ts';
import { REPORT_HOLD_MS, type ReportState } from '../domain/coverage-report.ts';
import type { HookState } from '../domain/hook-state.ts';
import type { Role } from '../domain/permissions.ts';

/** Lines that can run, and those of them that did. */
export interface CoverageTotals {
  covered: number;
  total: number;
  /** From 0 to 100, not rounded. */
  percent: number;
}

/** A branch, and what is known of the commit at its head. */
export interface BranchStatus {
  name: string;
  headSha: string;
  /** Null where nobody has processed it yet. */
  commit: {
    /** Ours, which job payloads have. */
    id: number;
    state: CommitState;
    title: string | null;
    author: string | null;
    /** Of the author, where one of our users has their email. */
    username: string | null;
    authoredAt: string | null;
    checks: { state: ChecksState; description: string | null };
  } | null;
  /** Of the last head whose coverage is known. */
  coverage: (CoverageTotals & { sha: string | null }) | null;
}

/** A coverage report that waits for its commit, or came to nothing. */
export interface CoverageReportStatus {
  id: number;
  sha: string;
  state: ReportState;
  problem: string | null;
  receivedAt: string;
  /** Until when it waits; null where it does not. */
  heldUntil: string | null;
}

/** What upkeep knows of a repository. */
export interface RepositoryDetails {
  /** The default branch first, then those that moved last, 20 at most. */
  branches: BranchStatus[];
  moreBranches: number;
  commits: { count: number; errored: number };
  /** How many users have each role; null before GitLab's members were read. */
  permissions: { members: Record<Role, number>; readAt: string } | null;
  webhook: { state: HookState; reason: string | null } | null;
  /** Whether its CI has a token to send coverage and use the cache with. */
  hasToken: boolean;
  coverageReports: CoverageReportStatus[];
}

export function presentDetails(found: RepositoryUpkeep): RepositoryDetails {
  const { branches, moreBranches, commits, members, permissionsReadAt, webhook, hasToken, reports } = found;
  return {
    branches: branches.map(presentBranch),
    moreBranches,
    commits,
    permissions:
      permissionsReadAt === null
        ? null
        : {
            members: { owner: 0, maintainer: 0, developer: 0, reader: 0, ...members },
            readAt: permissionsReadAt.toISOString(),
          },
    webhook,
    hasToken,
    coverageReports: reports.map(({ receivedAt, ...report }) => ({
      ...report,
      receivedAt: receivedAt.toISOString(),
      heldUntil: report.state === 'held' ? new Date(receivedAt.getTime() + REPORT_HOLD_MS).toISOString() : null,
    })),
  };
}

function presentBranch({ name, headSha, commit, covered, total, coverageSha }: BranchOverview): BranchStatus {
  return {
    name,
    headSha,
    commit: commit && {
      id: commit.id,
      state: commit.state,
      title: commit.title,
      author: commit.authorName,
      username: commit.username,
      authoredAt: commit.authoredAt?.toISOString() ?? null,
      checks: { state: commit.checksState, description: textOfChecks(commit) },
    },
    coverage: covered === null || total === null ? null : { ...totals({ covered, total }), sha: coverageSha },
  };
}

export function totals(lines: { covered: number; total: number }): CoverageTotals {
  return { covered: lines.covered, total: lines.total, percent: percentOf(lines) };
}
