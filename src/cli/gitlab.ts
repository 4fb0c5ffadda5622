import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import pc from 'picocolors';
import type { GitlabStatus, InstallProgress, LastRun } from '../client/gitlab.ts';
import type { InstallResult, ListingResult } from '../domain/install-run.ts';
import { addCommand, type CommonOptions, withClient } from './command.ts';
import { fields, print, state, table, time } from './output.ts';

export function addGitlabCommands(program: Command): void {
  const noun = program.command('gitlab').description("GitLab's webhooks, which install and repair themselves");

  addCommand(noun, 'sync', "list GitLab's repositories that are ours").action(async (options: CommonOptions) => {
    const result = await withClient((client) => client.gitlab.sync());
    print(result, options, renderListing);
    failWhenRefused(result);
  });

  addCommand(noun, 'install', 'bring all webhooks into place now')
    .option('--repository <path>', 'only that of this repository, group/project')
    .action(async ({ repository, ...options }: CommonOptions & { repository?: string }) => {
      const { result, status } = await withClient(async (client) => {
        const bar = progressBar();
        const installed = await client.installWebhooks({ repository, onProgress: bar.show }).finally(bar.stop);
        return { result: installed, status: options.json ? undefined : await client.gitlab.status() };
      });
      print(result, options, (ended) => [renderEnd(ended), status && renderStatus(status)].join('\n\n'));
      failWhenRefused(result);
    });

  addCommand(noun, 'status', 'hooks by state, the last run, why it ended, and when it goes on').action(
    async (options: CommonOptions) => {
      print(await withClient((client) => client.gitlab.status()), options, renderStatus);
    },
  );
}

/** A token that GitLab refuses is something to be done about; a rate limit is not, the schedule goes on by itself. */
function failWhenRefused({ endedEarly }: InstallResult | ListingResult): void {
  if (endedEarly === 'invalid_credentials') process.exitCode = 1;
}

/** On a terminal, on stderr: stdout is for the result. */
function progressBar() {
  const bar = new SingleBar({
    format: '{bar} {value}/{total} {what}',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
  });
  let begun = false;
  return {
    show: ({ begun: isBegun, done, remaining }: InstallProgress): void => {
      if (!begun) bar.start(0, 0, { what: 'a worker has to take it up; is one running?' });
      begun = true;
      if (!isBegun) return;
      bar.setTotal(done + remaining);
      bar.update(done, { what: 'repositories' });
    },
    stop: (): void => {
      if (begun) bar.stop();
    },
  };
}

function renderListing({ listed, added, endedEarly, retryAt }: ListingResult): string {
  const seen = `GitLab listed ${listed} repositories, ${added} of them new.`;
  return endedEarly === null ? seen : `${seen} ${pc.yellow(why(endedEarly, retryAt))}`;
}

function renderEnd(result: InstallResult): string {
  const { remaining, endedEarly, retryAt } = result;
  if (endedEarly !== null) return pc.yellow(`${why(endedEarly, retryAt)} Webhooks still to be done: ${remaining}.`);
  if (result.blocked > 0)
    return pc.yellow(`Done; of the webhooks looked at, ${result.blocked} cannot be there, see below.`);
  if (result.failed > 0) return pc.yellow(`Done; ${result.failed} failed, and the next run tries them again.`);
  return pc.green('Done: every webhook that can be is in place.');
}

function why(endedEarly: NonNullable<InstallResult['endedEarly']>, retryAt: string | null): string {
  if (endedEarly === 'invalid_credentials')
    return 'GitLab does not accept GITLAB_TOKEN: it is wrong, expired, revoked or lacks the scope api.';
  const goesOn = retryAt === null ? 'the next run goes on' : `it goes on after ${time(retryAt)}`;
  return `GitLab's rate limit is used up; ${goesOn}.`;
}

export function renderStatus({ lastRun, nextRunAt, repositories, reasons, groups }: GitlabStatus): string {
  const { installed, pending, blocked, covered, disabled } = repositories;
  const rows: [string, number][] = [
    ['installed', installed],
    ['disabled', disabled],
    ['covered', covered],
    ['pending', pending],
    ...Object.entries(blocked),
  ];
  const shown = rows.filter(([name, count]) => count > 0 || name === 'installed' || name === 'pending');
  return [
    table(
      ['WEBHOOKS', 'REPOSITORIES', ''],
      shown.map(([name, count]) => [state(name), String(count), pc.dim(MEANINGS[name] ?? '')]),
      '',
    ),
    table(
      ['BLOCKED BECAUSE', 'REPOSITORIES', 'ONE OF THEM'],
      reasons.map(({ state: its, reason, count, example }) => [reason ?? its, String(count), example]),
      '',
    ),
    table(
      ['GROUP', 'WEBHOOK', 'BECAUSE'],
      groups.map(({ path, state: its, reason }) => [path, state(its), reason ?? '']),
      '',
    ),
    `${pc.bold('LAST RUN')}\n${fields([...(lastRun === null ? [] : renderRun(lastRun)), ['next run', nextRunAt === null ? 'none is scheduled ("forgeflow schedules sync")' : time(nextRunAt)]])}`,
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

const MEANINGS: Record<string, string> = {
  disabled: 'of those installed: GitLab stopped sending, because the ingress failed',
  covered: 'the webhook of their group sends their events',
  not_found: 'GitLab does not show them to our account',
  no_access: 'our account is not a Maintainer there',
  invalid_credentials: 'GitLab does not accept GITLAB_TOKEN',
  error: 'something is wrong with them, see below',
};

const COUNTS = ['installed', 'verified', 'adopted', 'repaired', 'covered', 'blocked', 'failed', 'remaining'] as const;

function renderRun(run: LastRun): [string, string][] {
  const counts = COUNTS.filter((name) => run[name] > 0).map((name) => `${name} ${run[name]}`);
  return [
    ['started', time(run.startedAt)],
    ['ended', run.finishedAt === null ? 'it is under way' : time(run.finishedAt)],
    ['came to', counts.join(', ') || 'nothing was due'],
    ['because', reasonOf(run)],
  ];
}

function reasonOf({ endedEarly, error, finishedAt, retryAt }: LastRun): string {
  if (error !== null) return pc.red(error);
  if (endedEarly !== null) return pc.yellow(why(endedEarly, retryAt));
  return finishedAt === null ? pc.dim('–') : 'nothing was left to do';
}
