import pc from 'picocolors';
import { explain } from '../src/cli/errors.ts';
import { untilAskedToStop } from '../src/cli/signals.ts';
import { formatDelay } from '../src/domain/retry-policy.ts';
import { tripBreaker } from './demo/acts/breaker.ts';
import { comeBack } from './demo/acts/comeback.ts';
import { goExpress } from './demo/acts/express.ts';
import { tryInnerNetwork } from './demo/acts/inner-network.ts';
import { followRepository } from './demo/acts/follow-repository.ts';
import { installWebhooks } from './demo/acts/install-webhooks.ts';
import { lookAround } from './demo/acts/look-around.ts';
import { liveOneDay } from './demo/acts/one-day.ts';
import { processPush } from './demo/acts/process-push.ts';
import { push } from './demo/acts/push.ts';
import { repairWebhooks } from './demo/acts/repair-webhooks.ts';
import { subscribe } from './demo/acts/subscribe.ts';
import { chapter, claim, list, lowerCurtain, say, score } from './demo/console.ts';
import { setStage, type Stage } from './demo/stage.ts';

const debug = process.argv.includes('--debug');
const interruption = new AbortController();
const asked = untilAskedToStop().then(() => {
  interruption.abort();
  lowerCurtain('stopping …');
});

say(pc.bold('forgeflow: durable webhooks, shown on a real Postgres, a real Temporal server and real HTTP'));
chapter('Bringing up Postgres, Temporal with its Web UI, a worker, the ingress, and a stand-in for GitLab');
const stage = await setStage(interruption.signal).catch((error: unknown) =>
  // Asked to end meanwhile, it fails for that.
  process.exit(interruption.signal.aborted ? 1 : explain(error, debug)),
);
let isThrough = false;
try {
  isThrough = (await Promise.race([asked, stage.system.done, show(stage)])) === 'through';
  if (isThrough && !process.argv.includes('--exit')) {
    say(`\nEverything stays up for a look around. ${pc.bold('Ctrl-C')} ends it.`);
    await Promise.race([asked, stage.system.done]);
  }
} catch (error) {
  claim('the show goes through to its end', false);
  explain(error, debug);
} finally {
  if (!isThrough) closeInAnyCase();
  await stage.close();
  const { kept, made } = score();
  process.exitCode = isThrough && kept === made ? 0 : 1;
}

/** Calls that are broken off may fail where nobody waits for them: what was started has to be ended all the same. */
function closeInAnyCase(): void {
  for (const event of ['unhandledRejection', 'uncaughtException']) process.on(event, () => undefined);
}

async function show(on: Stage): Promise<'through'> {
  interruption.signal.throwIfAborted();
  const { webUiUrl, ingressUrl } = on.system.addresses;
  list([
    ['Web UI', webUiUrl ?? ''],
    ['ingress', ingressUrl],
    ['GitLab', `${on.gitlab.url}, a stand-in with ${on.repositories.length} repositories`],
    ['ready', `after ${formatDelay(Date.now() - on.startedAt)}`],
  ]);
  await installWebhooks(on);
  await repairWebhooks(on);
  const cast = await subscribe(on);
  await tryInnerNetwork(on);
  await push(on, cast);
  await followRepository(on);
  await processPush(on);
  await goExpress(on);
  const failedId = await liveOneDay(on);
  await tripBreaker(on, cast);
  await comeBack(on, cast, failedId);
  lookAround(on, failedId);
  return 'through';
}
