import { type Command } from 'commander';
import pc from 'picocolors';
import type { Commit, CommitDetails } from '../client/commits.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { fields, print, size, state, table, time } from './output.ts';
import { covered, SHA_SHOWN } from './repository-screen.ts';

export function addCommitCommands(program: Command): void {
  const noun = program.command('commits').description('commits of tracked repositories: checks, problems, coverage');

  addCommand(noun, 'list <path>', 'the commits of a repository, newest first')
    .option('--limit <number>', 'how many at most', '50')
    .action(async (path: string, options: CommonOptions & { limit: string }) => {
      const limit = Number(options.limit);
      print(await withClient((client) => client.commits.list(path, { limit })), options, renderList);
    });

  addCommand(noun, 'show <path> <sha>', 'one commit with its checks, problems and coverage').action(
    async (path: string, sha: string, options: CommonOptions) => {
      print(await withClient((client) => client.commits.show(path, sha)), options, renderOne);
    },
  );
}

function renderList(commits: Commit[]): string {
  return table(
    ['COMMIT', 'ID', 'TITLE', 'AUTHOR', 'AUTHORED', 'BRANCHES', 'CHECKS', 'COVERAGE'],
    commits.map((commit) => [
      commit.sha.slice(0, SHA_SHOWN),
      String(commit.id),
      commit.title ?? pc.dim('–'),
      author(commit),
      time(commit.authoredAt),
      commit.branches.join(' ') || pc.dim('–'),
      checks(commit),
      covered(commit.coverage),
    ]),
    'No commit was processed yet; pushes are, from now on.',
  );
}

function renderOne(commit: CommitDetails): string {
  const { runs, problems, files, coverage } = commit;
  const failed = runs.filter(({ printed }) => printed !== null && printed !== '');
  return [
    `${pc.bold(commit.repository)} ${commit.sha}`,
    fields([
      ['id', String(commit.id)],
      ['title', commit.title ?? pc.dim('–')],
      ['author', author(commit)],
      ['authored', time(commit.authoredAt)],
      ['clone', `${state(commit.state)}, ${size(commit.sizeBytes)}`],
      ['branches', commit.branches.join(' ') || pc.dim('–')],
      ['checks', checks(commit)],
      ['coverage', coverage?.description ?? pc.dim('–')],
    ]),
    table(['CHECK', 'ID', 'STATE', 'PROBLEMS', 'FINISHED', ''], runs.map(runRow), 'No checks.'),
    ...failed.map(({ plugin, printed }) => `${pc.dim(`the last that ${plugin} printed`)}\n${printed ?? ''}`),
    ...(problems.length === 0
      ? []
      : [
          table(
            ['PROBLEM', 'LEVEL', 'CHECK', 'RULE', 'MESSAGE'],
            problems.map(({ path, line, column, level, plugin, ruleId, message }) => [
              [path ?? pc.dim('–'), line, column].filter((part) => part !== null).join(':'),
              state(level),
              plugin,
              ruleId ?? pc.dim('–'),
              message.split('\n')[0] ?? '',
            ]),
            '',
          ),
        ]),
    ...(files.length === 0
      ? []
      : [
          table(
            ['FILE', 'COVERED', 'LINES'],
            files.map((file) => [file.path, covered(file), `${file.covered} of ${file.total}`]),
            '',
          ),
        ]),
  ].join('\n\n');
}

function author({ username, author: name }: Commit): string {
  return username === null ? (name ?? pc.dim('–')) : `@${username}`;
}

function checks({ checks: { state: its, description } }: Commit): string {
  if (its === 'unknown' || its === 'not_configured') return pc.dim(description ?? '–');
  return description === null ? state(its) : `${state(its)}: ${description}`;
}

function runRow({
  plugin,
  id,
  state: its,
  problems,
  omitted,
  finishedAt,
  reason,
}: CommitDetails['runs'][number]): string[] {
  const more = omitted === null || omitted === 0 ? '' : ` (and ${omitted} more)`;
  return [
    plugin,
    String(id),
    state(its),
    problems === null ? pc.dim('–') : `${problems}${more}`,
    time(finishedAt),
    reason ?? '',
  ];
}
