import { randomUUID } from 'node:crypto';
import { created, grapeRefusal, recordNotFound, refusal, type Answer } from './answer.ts';
import { take, type Call } from './call.ts';
import { deliver } from './deliver.ts';
import { eventOf, HOOK_FLAGS, type HookFlag } from './hook-events.ts';
import type { Hook } from './hook.ts';
import { sampleEvent } from './sample-events.ts';
import { isSince, type Settings } from './settings.ts';
import type { Owner } from './places.ts';

const WINDOW_MS = 60_000;
/** When test sends were asked for, by what the limit counts together. */
const asked = new WeakMap<object, Map<number, number[]>>();

/** Sends a sample of an event to the hook, disabled or not, and waits for its receiver. */
export async function testHook(call: Call, hookIn: () => Hook): Promise<Answer> {
  const hook = hookIn();
  const flag = HOOK_FLAGS.find((one) => one === call.segments['trigger'] && eventOf(one).testable);
  if (flag === undefined) throw grapeRefusal(400, 'trigger does not have a valid value');
  take(call, {});
  checkRate(call, hook);
  const owner = sampled(hook.owner);
  if (owner === undefined || (owner.kind === 'project' && owner.empty && isPush(flag)))
    throw refusal(422, 'Ensure the project has at least one commit.');
  const sending = { flag, payload: sampleEvent(owner, flag), eventUuid: randomUUID() };
  const { status, responseBody, error } = await deliver(hook, sending, call.within);
  if (!hook.owner.hooks.includes(hook)) throw recordNotFound();
  if (status === null || status < 200 || status > 299) throw refusal(422, error ?? responseBody);
  return created({ message: '201 Created' });
}

const isPush = (flag: HookFlag) => flag === 'push_events' || flag === 'tag_push_events';

/** For a group GitLab takes one of its own projects that has a commit. */
function sampled(owner: Owner): Owner | undefined {
  return owner.kind === 'project' ? owner : [...owner.projects].find(({ empty }) => !empty);
}

/** @throws Refusal 429, which is of this endpoint alone and says nothing of the rest of the API */
function checkRate({ user, within: { settings, clock } }: Call, hook: Hook): void {
  const limit = limitOf(settings);
  if (limit === undefined) return;
  const counted: object = isSince(settings, '17.1') ? hook.owner : hook;
  const byUser = asked.get(counted) ?? new Map<number, number[]>();
  asked.set(counted, byUser);
  const now = clock.now();
  const recent = (byUser.get(user.id) ?? []).filter((at) => at > now - WINDOW_MS);
  if (recent.length >= limit) {
    const error = 'This endpoint has been requested too many times. Try again later.';
    throw refusal(429, { error }, { 'Retry-After': '60' });
  }
  byUser.set(user.id, [...recent, now]);
}

function limitOf(settings: Settings): number | undefined {
  if (isSince(settings, '17.1')) return 5;
  return isSince(settings, '17.0') ? 3 : undefined;
}
