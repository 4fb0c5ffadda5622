import { type Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import type { MergeRequestStatus, Repository, RepositoryWithMergeRequests } from '../client/repositories.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { fields, print, size, state, table, time } from './output.ts';

export function addRepositoryCommands(program: Command): void {
  const noun = program.command('repositories').description('those that are cloned, indexed and looked after');

  addCommand(noun, 'add <path>', 'track a repository, group/project')
    .option('--required-approvals <number>', 'of a merge request; "gitlab" for what GitLab\'s own rules say', approvals)
    .action(async (path: string, options: CommonOptions & { requiredApprovals?: number | 'gitlab' }) => {
      const { requiredApprovals: given } = options;
      const requiredApprovals = given === 'gitlab' ? null : given;
      print(
        await withClient((client) => client.repositories.add(path, { requiredApprovals })),
        options,
        ({ path: its, id }) => `${pc.green('Tracked')} ${its} (id ${id}); the jobs for it are under way.`,
      );
    });

  addCommand(noun, 'list', 'tracked repositories').action(async (options: CommonOptions) => {
    print(await withClient((client) => client.repositories.list()), options, renderList);
  });

  addCommand(noun, 'show <path>', 'one repository with its open merge requests').action(
    async (path: string, options: CommonOptions) => {
      print(await withClient((client) => client.repositories.show(path)), options, renderOne);
    },
  );

  addCommand(noun, 'remove <path>', 'track it no longer; its clone and index go').action(
    async (path: string, options: CommonOptions) => {
      await withClient((client) => client.repositories.remove(path));
      print({ path, removed: true }, options, () => `Removed ${path}.`);
    },
  );
}

/** Not null for what GitLab says: commander takes that for nothing at all. */
function approvals(text: string): number | 'gitlab' {
  if (text === 'gitlab') return text;
  if (!/^\d{1,3}$/.test(text)) throw new InvalidArgumentError('It is neither a whole number nor "gitlab".');
  return Number(text);
}

function renderList(repositories: Repository[]): string {
  return table(
    ['REPOSITORY', 'ID', 'HEAD', 'SIZE', 'INDEX', 'OPEN', 'FETCHED'],
    repositories.map((repository) => [
      repository.path,
      String(repository.id),
      head(repository),
      size(repository.cloneBytes),
      index(repository),
      String(repository.openMergeRequests),
      time(repository.fetchedAt),
    ]),
    'No repositories are tracked; "forgeflow repositories add group/project" tracks one.',
  );
}

function renderOne(repository: RepositoryWithMergeRequests): string {
  const { path, id, gitlabId, trackedAt, requiredApprovals, cloneBytes, fetchedAt, mergeRequests } = repository;
  return [
    pc.bold(path),
    fields([
      ['id', `${id} (in GitLab ${gitlabId})`],
      ['tracked', time(trackedAt)],
      ['head', head(repository)],
      ['clone', `${size(cloneBytes)}, brought up to date ${time(fetchedAt)}`],
      ['index', indexInFull(repository)],
      ['approvals', requiredApprovals === null ? "as GitLab's rules say" : `${requiredApprovals} required`],
    ]),
    table(
      ['MERGE REQUEST', 'TITLE', 'INTO', 'STATE', 'AHEAD', 'BEHIND', 'CHANGES', 'REVIEWS', 'CHECKS'],
      mergeRequests.map((one) => [
        `!${one.iid} (${one.id})`,
        one.title.length > TITLE_SHOWN ? `${one.title.slice(0, TITLE_SHOWN - 1)}…` : one.title,
        one.targetBranch,
        state(one.mergeState),
        count(one.ahead),
        count(one.behind),
        changes(one),
        state(one.reviewDecision ?? '–'),
        state(one.statuses ?? '–'),
      ]),
      'No open merge requests.',
    ),
  ].join('\n\n');
}

const TITLE_SHOWN = 40;
const SHA_SHOWN = 10;

function head({ defaultBranch, headSha }: Repository): string {
  if (defaultBranch === null) return pc.dim('–');
  return headSha === null ? defaultBranch : `${defaultBranch} ${pc.dim(headSha.slice(0, SHA_SHOWN))}`;
}

function index({ index: its, headSha }: Repository): string {
  if (its === null) return pc.yellow('none yet');
  const files = `${its.files} files${its.truncated ? ' (truncated)' : ''}`;
  return its.commit === headSha ? files : `${files} ${pc.yellow('behind')}`;
}

function indexInFull(repository: Repository): string {
  const { index: its } = repository;
  if (its === null) return index(repository);
  return `${index(repository)}, of ${its.commit?.slice(0, SHA_SHOWN) ?? 'no commit'}, made ${time(its.indexedAt)}`;
}

function count(value: number | null): string {
  return value === null ? pc.dim('–') : String(value);
}

function changes({ changedFiles, additions, deletions }: MergeRequestStatus): string {
  if (changedFiles === null) return pc.dim('–');
  return `${changedFiles} ${changedFiles === 1 ? 'file' : 'files'} ${pc.green(`+${additions ?? 0}`)} ${pc.red(`-${deletions ?? 0}`)}`;
}
