import { type Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import type { Repository } from '../client/repositories.ts';
import type { RepositoryToken } from '../client/repository-tokens.ts';
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

  addCommand(noun, 'token <path>', 'make the token by which its CI sends coverage; it is shown this once')
    .option('--revoke', 'take it away instead')
    .action(async (path: string, options: CommonOptions & { revoke?: boolean }) => {
      if (options.revoke) {
        await withClient((client) => client.repositories.revokeToken(path));
        print({ repository: path, revoked: true }, options, () => `${path} has no token any more.`);
        return;
      }
      const render = ({ repository, token }: RepositoryToken) =>
        `${pc.green('Token')} of ${repository}, shown this once; the one before is worth nothing any more:\n\n${token}`;
      print(await withClient((client) => client.repositories.createToken(path)), options, render);
    });

  addCommand(noun, 'remove <path>', 'leave nothing of it: rows, clone, index, cache, webhook and jobs').action(
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
