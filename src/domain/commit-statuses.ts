import {
  type CheckOfCommit,
  CHECKS_STATUS_NAME,
  type ChecksStatus,
  shortened,
  statusOfChecks,
} from './check-status.ts';
import type { ChecksState, CommitState } from './commit.ts';

export const COVERAGE_STATUS_NAME = 'forgeflow/coverage';

/** A status of a commit as GitLab shows it. */
export interface PostedStatus extends ChecksStatus {
  name: string;
}

export interface ReportedCommit {
  state: CommitState;
  /** Why it could not be cloned, when that was last tried. */
  failure: string | null;
  checksState: ChecksState;
  /** Why no check was begun. */
  checksDetail: string | null;
  checks: readonly CheckOfCommit[];
  /** Null: nobody has sent any. */
  coverage: { isEnough: boolean; description: string } | null;
}

/** What GitLab is still to be told of a commit. @param told what it was last told, by the names of the statuses */
export function statusesToPost(commit: ReportedCommit, told: ReadonlyMap<string, ChecksStatus>): PostedStatus[] {
  const statuses: [name: string, status: ChecksStatus | null][] = [
    [CHECKS_STATUS_NAME, checksStatus(commit, told.has(CHECKS_STATUS_NAME))],
    [COVERAGE_STATUS_NAME, coverageStatus(commit)],
  ];
  return statuses.flatMap(([name, status]) =>
    status === null || isTold(status, told.get(name)) ? [] : [{ name, ...status }],
  );
}

function checksStatus(
  { state, failure, checksState, checksDetail, checks }: ReportedCommit,
  isAnythingTold: boolean,
): ChecksStatus | null {
  const detail = checksDetail ?? failure;
  if (state === 'errored') return { state: 'error', description: shortened(failure ?? 'it could not be cloned') };
  if (checksState === 'unknown') return null;
  // What was told while it could not be cloned is not so any more.
  if (checksState === 'not_configured')
    return isAnythingTold ? { state: 'success', description: 'No checks are configured' } : null;
  if (checksState === 'error' && detail !== null) return { state: 'error', description: shortened(detail) };
  // GitLab keeps what it is first told of a status that is pending: nothing that will soon not be so.
  if (checksState === 'pending') return { state: 'pending', description: underWay(checks.length) };
  return statusOfChecks(checks);
}

function underWay(checks: number): string {
  return checks === 1 ? '1 check is under way' : `${checks} checks are under way`;
}

function coverageStatus({ coverage }: ReportedCommit): ChecksStatus | null {
  if (coverage === null) return null;
  return { state: coverage.isEnough ? 'success' : 'failure', description: shortened(coverage.description) };
}

function isTold(status: ChecksStatus, told: ChecksStatus | undefined): boolean {
  if (told?.state !== status.state) return false;
  return status.state === 'pending' || told.description === status.description;
}
