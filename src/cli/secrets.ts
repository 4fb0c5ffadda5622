import type { Command } from 'commander';
import pc from 'picocolors';
import type { Secret, SecretScope } from '../client/secrets.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { readGiven } from './given-text.ts';
import { print, table, time } from './output.ts';

type Options = CommonOptions & SecretScope;

export function addSecretCommands(program: Command): void {
  const noun = program.command('secrets').description('what checks are given as files in their home folder');

  addCommand(noun, 'set <name>', 'keep a secret, sealed; it cannot be seen again')
    .requiredOption('--value <text>', 'what stands in the file: @file, - for stdin, or the text, which others may see')
    .option('--repository <path>', 'whose checks alone are to have it, group/project; those of all when left out')
    .action(async (name: string, { value, repository, ...options }: Options & { value: string }) => {
      const text = await readGiven('value', value);
      print(
        await withClient((client) => client.secrets.set(name, text, { repository })),
        options,
        (kept) => `Kept ${kept.name} for ${whose(kept)}.`,
      );
    });

  addCommand(noun, 'list', 'all secrets, without what they are').action(async (options: CommonOptions) => {
    print(await withClient((client) => client.secrets.list()), options, renderList);
  });

  addCommand(noun, 'delete <name>', 'remove a secret; checks that mount it fail from then on')
    .option('--repository <path>', 'whose it is, group/project; of all repositories when left out')
    .action(async (name: string, { repository, ...options }: Options) => {
      await withClient((client) => client.secrets.delete(name, { repository }));
      const deleted = { name, repository: repository ?? null, deleted: true };
      print(deleted, options, (its) => `Deleted ${its.name} of ${whose(its)}.`);
    });
}

function whose({ repository }: Pick<Secret, 'repository'>): string {
  return repository ?? 'all repositories';
}

function renderList(secrets: Secret[]): string {
  return table(
    ['NAME', 'REPOSITORY', 'UPDATED'],
    secrets.map(({ name, repository, updatedAt }) => [name, repository ?? pc.dim('all'), time(updatedAt)]),
    'No secrets are kept; "forgeflow secrets set" keeps one.',
  );
}
