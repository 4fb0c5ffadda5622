export const HOOK_STATES = [
  'pending',
  'installed',
  'covered',
  'not_found',
  'no_access',
  'invalid_credentials',
  'error',
] as const;
/**
 * How an owner of a hook stands. `covered`: it needs none of its own, that of its group sends its events. The last four
 * are conditions to be mended by people, or by time.
 */
export type HookState = (typeof HOOK_STATES)[number];

export const BLOCKED_STATES = ['not_found', 'no_access', 'invalid_credentials', 'error'] as const;
export type BlockedState = (typeof BLOCKED_STATES)[number];

/** GitLab's own word on a hook: it stops sending to receivers that fail, for a while or until somebody does something. */
export const ALERT_STATUSES = ['executable', 'temporarily_disabled', 'disabled'] as const;
export type AlertStatus = (typeof ALERT_STATUSES)[number];

export const HOOK_OUTCOMES = ['installed', 'verified', 'adopted', 'repaired', 'covered', 'blocked', 'failed'] as const;
/**
 * What a run made of a row. `installed`: made for the first time; `verified`: it was right; `adopted`: an answer had been
 * lost, and the hook was there; `repaired`: made again, drift corrected, an unknown secret replaced, surplus hooks removed,
 * or re-enabled; `covered`: it needs none; `blocked`: not found, no access, invalid credentials; `failed`: anything else.
 */
export type HookOutcome = (typeof HOOK_OUTCOMES)[number];

const HOUR = 60 * 60 * 1_000;
/** After the first failure; each further one doubles it. */
const FIRST_RECHECK_MS = HOUR;

export interface RecheckQuestion {
  state: HookState;
  /** Failures in a row, this one included. */
  attempts: number;
  /** How often a hook that is right is looked at, in ms; nothing waits longer than that. */
  verifyMs: number;
}

/**
 * How long until a row is looked at again, in ms. What waits for people is asked ever more rarely; a wrong token is a
 * matter of all rows, whose next run finds out with the first of them.
 */
export function recheckDelayMs({ state, attempts, verifyMs }: RecheckQuestion): number {
  switch (state) {
    case 'pending':
    case 'invalid_credentials':
      return 0;
    case 'installed':
    case 'covered':
      return verifyMs;
    case 'not_found':
    case 'no_access':
    case 'error':
      return Math.min(FIRST_RECHECK_MS * 2 ** Math.max(0, attempts - 1), verifyMs);
  }
}
