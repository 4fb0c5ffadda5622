import { randomUUID } from 'node:crypto';
import { ancestorsOf } from './access.ts';
import { deliver, type Delivery, type Surroundings } from './deliver.ts';
import type { HookFlag } from './hook-events.ts';
import { alertStatusOf } from './hook-health.ts';
import type { Hook } from './hook.ts';
import { sampleEvent } from './sample-events.ts';
import type { Owner } from './places.ts';

export interface GitlabEvent {
  flag: HookFlag;
  /** A sample when absent. */
  payload?: unknown;
}

/**
 * Something happens in a project or group: every hook that wants to know is told, those of the groups above too.
 * @returns what came of it, one for each hook it was sent to; disabled ones are sent nothing
 */
export async function emit(owner: Owner, event: GitlabEvent, within: Surroundings): Promise<Delivery[]> {
  const { flag, payload = sampleEvent(owner, flag) } = event;
  const eventUuid = randomUUID();
  const hooks = hooksFor(owner, within).filter(
    (hook) =>
      hook[flag] &&
      (flag !== 'push_events' || takesBranch(hook, payload)) &&
      alertStatusOf(hook, within.settings, within.clock.now()) === 'executable',
  );
  return Promise.all(hooks.map(async (hook) => deliver(hook, { flag, payload, eventUuid }, within)));
}

/** The same event once more, by the button of a person: the same `Idempotency-Key`. */
export async function resend(hook: Hook, delivery: Delivery, within: Surroundings): Promise<Delivery> {
  const { flag, headers, body } = delivery;
  const sending = { flag, payload: JSON.parse(body) as unknown, eventUuid: randomUUID() };
  const idempotencyKey = headers['Idempotency-Key'];
  return deliver(hook, { ...sending, ...(idempotencyKey !== undefined && { idempotencyKey }) }, within);
}

function hooksFor(owner: Owner, { settings }: Surroundings): Hook[] {
  const own = owner.kind === 'project' ? owner.hooks : [];
  return settings.premium ? [...own, ...ancestorsOf(owner).flatMap(({ hooks }) => hooks)] : own;
}

function takesBranch({ push_events_branch_filter: filter, branch_filter_strategy: strategy }: Hook, payload: unknown) {
  if (filter === null || filter === '' || strategy === 'all_branches') return true;
  const { ref } = payload as { ref?: unknown };
  const branch = String(ref).replace(/^refs\/heads\//, '');
  const source = strategy === 'regex' ? filter : `^${filter.split('*').map(escaped).join('.*')}$`;
  return new RegExp(source).test(branch);
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
