import { chapter, claim } from '../console.ts';
import type { Stage } from '../stage.ts';
import type { Cast } from './subscribe.ts';

/** How many deliveries the breaker of dead holds back. */
export const MISSED = 5;

export async function tripBreaker({ forgeflow, gitlab, repositories, until }: Stage, { flaky }: Cast): Promise<void> {
  chapter(`The circuit breaker of dead is open, and ${MISSED} more repositories are tagged`);
  const before = flaky.requests.length;
  for (const repository of repositories.slice(1, 1 + MISSED)) await gitlab.emit(repository, 'tag_push_events');
  await until(() => flaky.requests.length === before + MISSED);
  const { state, lastError } = await forgeflow.subscriptions.show('dead');
  const held = await forgeflow.deliveries.list({ subscription: 'dead', state: 'pending' });
  claim(
    `the others get them; ${held.length} wait for dead, which is ${state} (${lastError ?? ''}), without a request`,
    state === 'tripped' && held.length === MISSED && held.every(({ attemptCount }) => attemptCount === 0),
  );
}
