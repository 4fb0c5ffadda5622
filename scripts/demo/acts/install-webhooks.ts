import pc from 'picocolors';
import type { InstallResult } from '../../../src/domain/install-run.ts';
import { renderStatus } from '../../../src/cli/gitlab.ts';
import { time } from '../../../src/cli/output.ts';
import { chapter, claim, quote, say } from '../console.ts';
import { countDown, withBar } from '../live-line.ts';
import type { Stage } from '../stage.ts';

/** In the middle of the second page of a hundred. */
const REFUSED_FROM_REQUEST = 450;
const REFUSED_FOR_S = 4;

export async function installWebhooks(stage: Stage): Promise<void> {
  const { forgeflow, gitlab, repositories, asked, system } = stage;
  const all = repositories.length;
  chapter(`${all} webhooks installed, through GitLab's rate limit`);
  gitlab.rateLimit.refuse({ at: REFUSED_FROM_REQUEST, forSeconds: REFUSED_FOR_S });

  const first = await install(stage, 0);
  const { installed, remaining, retryAt } = first;
  claim(
    `the rate limit ended the run early: ${installed} installed, ${remaining} remain, it goes on after ${time(retryAt)}`,
    first.endedEarly === 'rate_limited' && retryAt !== null && installed > 0 && installed + remaining === all,
  );
  const { requestCount } = gitlab;
  say(pc.dim('\n    $ forgeflow gitlab status'));
  quote(renderStatus(await forgeflow.gitlab.status()));
  say();
  await countDown(new Date(retryAt ?? Date.now()), 'GitLab takes requests again', asked);
  const refused = gitlab.requests.filter(({ status }) => status === 429).map(({ path }) => path);
  const refusedTo = new Set(refused.map((path) => /^\/projects\/\d+/.exec(path)?.[0]));
  const { gitlabConcurrency: atOnce } = system.config;
  const inTheWait = gitlab.requestCount - requestCount;
  claim(
    `GitLab refused ${refused.length} requests, at most one for each of ${atOnce} repositories in hand, and had ${inTheWait || 'none'} in the wait`,
    refused.length > 0 && refused.length <= atOnce && refusedTo.size === refused.length && inTheWait === 0,
  );

  const second = await install(stage, installed);
  claim(
    `the next run goes on from there and finishes: ${second.installed} installed, ${second.remaining} remain`,
    second.endedEarly === null && second.installed === remaining && second.remaining === 0,
  );
  const hooks = repositories.map((repository) => gitlab.hooksOf(repository));
  const tokens = new Set(hooks.flat().map(({ token }) => token ?? ''));
  claim(
    `each of the ${hooks.length} repositories has exactly one webhook, and no two share a token`,
    hooks.every(({ length }) => length === 1) && tokens.size === all && !tokens.has(''),
  );
}

async function install({ forgeflow, repositories, asked }: Stage, before: number): Promise<InstallResult> {
  return withBar({ total: repositories.length, of: 'webhooks', asked }, async (moveTo) => {
    moveTo(before);
    const result = await forgeflow.installWebhooks({
      onProgress: ({ done }) => {
        moveTo(before + done);
      },
    });
    moveTo(before + result.installed);
    return result;
  });
}
