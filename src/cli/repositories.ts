import { type Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import type { Repository } from '../client/repositories.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { print, size, table, time } from './output.ts';
import { covered, head, index, repositoryScreen } from './repository-screen.ts';

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

  addCommand(noun, 'show <path>', 'one repository: branches, checks, coverage, members, merge requests').action(
    async (path: string, options: CommonOptions) => {
      print(await withClient((client) => client.repositories.show(path)), options, repositoryScreen);
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
    ['REPOSITORY', 'ID', 'HEAD', 'SIZE', 'COVERAGE', 'INDEX', 'MEMBERS', 'OPEN', 'FETCHED'],
    repositories.map((repository) => [
      repository.path,
      String(repository.id),
      head(repository),
      size(repository.cloneBytes),
      covered(repository.coverage),
      index(repository),
      repository.permissionsReadAt === null ? pc.yellow('not read yet') : String(repository.members),
      String(repository.openMergeRequests),
      time(repository.fetchedAt),
    ]),
    'No repositories are tracked; "forgeflow repositories add group/project" tracks one.',
  );
}
