import pc from 'picocolors';
import type { MergeRequestStatus, Repository, RepositoryWithMergeRequests } from '../client/repositories.ts';
import type { BranchStatus, CoverageReportStatus } from '../client/repository-details.ts';
import { judgeCoverage, type LineTotals } from '../domain/coverage.ts';
import { ROLES } from '../domain/permissions.ts';
import { fields, size, state, table, time } from './output.ts';

const TEXT_SHOWN = 40;
export const SHA_SHOWN = 10;

/** All that a maintainer wants to see of a repository, on one screen. */
export function repositoryScreen(repository: RepositoryWithMergeRequests): string {
  const { path, id, gitlabId, trackedAt, requiredApprovals, branches, moreBranches, coverageReports } = repository;
  return [
    pc.bold(path),
    fields([
      ['id', `${id} (in GitLab ${gitlabId})`],
      ['tracked', time(trackedAt)],
      ['head', head(repository)],
      ['checks', checksOfHead(repository)],
      ['coverage', coverage(repository)],
      ['clone', `${size(repository.cloneBytes)}, brought up to date ${time(repository.fetchedAt)}`],
      ['commits', commits(repository)],
      ['index', indexInFull(repository)],
      ['members', members(repository)],
      ['approvals', requiredApprovals === null ? "as GitLab's rules say" : `${requiredApprovals} required`],
      ['webhook', webhook(repository)],
      ['token', repository.hasToken ? 'set' : pc.dim('none; "repositories token" makes one for its CI')],
    ]),
    table(
      ['BRANCH', 'HEAD', 'TITLE', 'AUTHOR', 'CHECKS', 'COVERAGE'],
      branches.map(branchRow),
      'No branches are known.',
    ),
    ...(moreBranches > 0 ? [pc.dim(`and ${moreBranches} more branches`)] : []),
    ...(coverageReports.length > 0
      ? [table(['REPORT', 'COMMIT', 'STATE', 'RECEIVED', ''], coverageReports.map(reportRow), '')]
      : []),
    table(
      ['MERGE REQUEST', 'TITLE', 'INTO', 'STATE', 'AHEAD', 'BEHIND', 'CHANGES', 'REVIEWS', 'CHECKS'],
      repository.mergeRequests.map(mergeRequestRow),
      'No open merge requests.',
    ),
  ].join('\n\n');
}

export function head({ defaultBranch, headSha }: Repository): string {
  if (defaultBranch === null) return pc.dim('–');
  return headSha === null ? defaultBranch : `${defaultBranch} ${pc.dim(headSha.slice(0, SHA_SHOWN))}`;
}

export function index({ index: its, headSha }: Repository): string {
  if (its === null) return pc.yellow('none yet');
  const files = `${its.files} files${its.truncated ? ' (truncated)' : ''}`;
  return its.commit === headSha ? files : `${files} ${pc.yellow('behind')}`;
}

export function covered(lines: LineTotals | null): string {
  return lines === null ? pc.dim('–') : judgeCoverage(lines, null).text.replace(' covered', '');
}

function indexInFull(repository: Repository): string {
  const { index: its } = repository;
  if (its === null) return index(repository);
  return `${index(repository)}, of ${its.commit?.slice(0, SHA_SHOWN) ?? 'no commit'}, made ${time(its.indexedAt)}`;
}

function checksOfHead({ branches, defaultBranch }: RepositoryWithMergeRequests): string {
  const branch = branches.find(({ name }) => name === defaultBranch);
  return branch === undefined ? pc.dim('–') : checks(branch);
}

function coverage({ coverage: its, headSha, defaultBranch }: Repository): string {
  if (its === null) return pc.dim('–');
  const of = its.sha === null || its.sha === headSha ? (defaultBranch ?? '') : its.sha.slice(0, SHA_SHOWN);
  return `${covered(its)} of ${of} ${pc.dim(`(${its.covered} of ${its.total} lines)`)}`;
}

function commits({ commits: { count, errored }, commitsSize }: RepositoryWithMergeRequests): string {
  const failed = errored === 0 ? '' : `, ${pc.red(`${errored} could not be cloned`)}`;
  return `${count}, ${size(commitsSize)} together${failed}`;
}

function members({ permissions }: RepositoryWithMergeRequests): string {
  if (permissions === null) return pc.yellow('not read yet');
  const counts = ROLES.toReversed().flatMap((role) => {
    const count = permissions.members[role];
    return count === 0 ? [] : `${count} ${role}${count === 1 ? '' : 's'}`;
  });
  return `${counts.join(', ') || 'nobody'}; read ${time(permissions.readAt)}`;
}

function webhook({ webhook: its }: RepositoryWithMergeRequests): string {
  if (its === null) return pc.dim('–');
  return its.reason === null ? state(its.state) : `${state(its.state)}: ${its.reason}`;
}

function branchRow(branch: BranchStatus): string[] {
  const { name, headSha, commit, coverage: its } = branch;
  const isOfHead = its?.sha === headSha;
  return [
    shortened(name),
    headSha.slice(0, SHA_SHOWN),
    commit?.title ? shortened(commit.title) : pc.dim('–'),
    commit?.username ? `@${commit.username}` : (commit?.author ?? pc.dim('–')),
    checks(branch),
    isOfHead || its === null ? covered(its) : `${covered(its)} ${pc.dim(`of ${its.sha?.slice(0, SHA_SHOWN) ?? ''}`)}`,
  ];
}

function checks({ commit }: BranchStatus): string {
  if (commit === null) return pc.dim('–');
  const { state: its, description } = commit.checks;
  if (commit.state === 'errored') return `${state('error')}: ${shortened(description ?? '')}`;
  if (its === 'not_configured' || its === 'unknown') return pc.dim(description ?? '–');
  return description === null ? state(its) : `${state(its)}: ${shortened(description)}`;
}

function reportRow({ id, sha, state: its, receivedAt, heldUntil, problem }: CoverageReportStatus): string[] {
  const note = heldUntil === null ? (problem ?? '') : `waits for its commit until ${time(heldUntil)}`;
  return [String(id), sha.slice(0, SHA_SHOWN), state(its), time(receivedAt), note];
}

function mergeRequestRow(one: MergeRequestStatus): string[] {
  return [
    `!${one.iid} (${one.id})`,
    shortened(one.title),
    one.targetBranch,
    state(one.mergeState),
    number(one.ahead),
    number(one.behind),
    changes(one),
    state(one.reviewDecision ?? '–'),
    state(one.statuses ?? '–'),
  ];
}

function number(value: number | null): string {
  return value === null ? pc.dim('–') : String(value);
}

function changes({ changedFiles, additions, deletions }: MergeRequestStatus): string {
  if (changedFiles === null) return pc.dim('–');
  return `${changedFiles} ${changedFiles === 1 ? 'file' : 'files'} ${pc.green(`+${additions ?? 0}`)} ${pc.red(`-${deletions ?? 0}`)}`;
}

function shortened(text: string): string {
  const characters = Array.from(text);
  return characters.length <= TEXT_SHOWN ? text : `${characters.slice(0, TEXT_SHOWN - 1).join('')}…`;
}
