import type { Clock } from './clock.ts';
import type { Hook } from './hook.ts';
import type { Settings } from './settings.ts';

/** Up to so many failures in a row are passed over; with one more the hook is disabled for a while … */
const TOLERATED_FAILURES = 3;
/** … and with more than these for good. */
const LAST_FAILURE = 39;
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 24 * 60 * 60_000;

export type AlertStatus = 'executable' | 'temporarily_disabled' | 'disabled';

export function alertStatusOf(hook: Hook, settings: Settings, now: number): AlertStatus {
  if (!settings.autoDisabling) return 'executable';
  if (hook.failures > LAST_FAILURE) return 'disabled';
  const paused = hook.disabledUntil !== null && hook.disabledUntil >= now && hook.failures > TOLERATED_FAILURES;
  return paused ? 'temporarily_disabled' : 'executable';
}

export function recordOutcome(hook: Hook, success: boolean, settings: Settings, clock: Clock): void {
  if (!settings.autoDisabling) return;
  if (success) {
    hook.failures = 0;
    hook.disabledUntil = null;
    return;
  }
  // A test send that fails does not make it worse.
  if (alertStatusOf(hook, settings, clock.now()) !== 'executable') return;
  const doublings = hook.failures - TOLERATED_FAILURES;
  hook.failures++;
  if (hook.failures > TOLERATED_FAILURES)
    hook.disabledUntil = clock.now() + Math.min(FIRST_PAUSE_MS * 2 ** doublings, LONGEST_PAUSE_MS);
}

/** As if its receiver had failed often enough, just now. */
export function disable(hook: Hook, status: 'temporarily_disabled' | 'disabled', clock: Clock): void {
  hook.failures = status === 'disabled' ? LAST_FAILURE + 1 : TOLERATED_FAILURES + 1;
  hook.disabledUntil = clock.now() + (status === 'disabled' ? LONGEST_PAUSE_MS : FIRST_PAUSE_MS);
}
