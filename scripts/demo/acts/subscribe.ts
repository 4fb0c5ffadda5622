import { freePort } from '../../../src/free-port.ts';
import { chapter, say } from '../console.ts';
import type { Receiver } from '../receivers.ts';
import type { Stage } from '../stage.ts';

/** Who receives. */
export interface Cast {
  healthy: Receiver & { secret: string };
  flaky: Receiver;
  /** Nobody listens there. */
  deadPort: number;
}

/** All attempts of the first hour; the next one, two hours after the tag, gets through. */
const FLAKY_REFUSES = 13;

export async function subscribe({ forgeflow, receivers }: Stage): Promise<Cast> {
  chapter('Three receivers subscribe');
  const healthy = await receivers.open(() => 204);
  let refusals = 0;
  const flaky = await receivers.open(() => (refusals++ < FLAKY_REFUSES ? 503 : 200));
  const deadPort = await freePort();

  const add = async (name: string, url: string, pattern: string): Promise<string> => {
    const { secret } = await forgeflow.subscriptions.add({ name, url, patterns: [pattern] });
    say(`  ${name.padEnd(8)} wants ${pattern.padEnd(16)} at ${url}`);
    return secret;
  };
  const secret = await add('healthy', healthy.url, 'gitlab.>');
  await add('flaky', flaky.url, 'gitlab.tag_push');
  await add('dead', `http://127.0.0.1:${deadPort}/hook`, 'gitlab.tag_push');
  return { healthy: { ...healthy, secret }, flaky, deadPort };
}
