import type { HookFlags } from './hook-events.ts';
import { HOOK_NAME, hookDescription, secretIdIn } from './hook-marker.ts';
import type { AlertStatus, HookOutcome } from './hook-state.ts';
import { isSameUrl } from './hook-url.ts';

/** A hook as GitLab shows it: never with its token. */
export interface FoundHook {
  id: number;
  url: string;
  /** By name, `push_events`; those that this GitLab knows. */
  flags: Readonly<Record<string, boolean>>;
  sslVerification: boolean;
  /** `null` or empty: pushes to all branches. */
  branchFilter: string | null;
  /** Absent (null) in versions that disable no hooks. */
  alertStatus: AlertStatus | null;
  disabledUntil: string | null;
  /** Absent, as is the description: this GitLab is older than 17.1 and does not know them. */
  name?: string | null;
  description?: string | null;
}

export interface WantedHook {
  url: string;
  flags: HookFlags;
}

/** What our books say. */
export interface StoredHook {
  gitlabHookId: number | null;
  secretId: string | null;
  /** Whether GitLab is known to have it; false: it was or was about to be sent, and no answer was seen. */
  secretArrived: boolean;
  everInstalled: boolean;
}

export interface HookPlan {
  /** `adopt`: nothing is to be sent, but our books do not know yet that it is there. */
  action: 'create' | 'adopt' | 'update' | 'keep';
  /** The hook to keep; null when one is to be created. */
  hookId: number | null;
  /** The secret to send, where anything is sent: a new one is to be stored first. */
  secret: 'stored' | 'new';
  /** What is to be corrected, by GitLab's names; `token`: which one it has is not known. */
  drift: string[];
  /** Other hooks with our URL, to be removed once the one to keep is right. */
  surplus: number[];
  /** Whether GitLab has disabled it, which a test send that works ends. */
  reenable: boolean;
}

/** What is to be done so that an owner has exactly one hook of ours, with a secret that is stored. */
export function planHook(wanted: WantedHook, stored: StoredHook, found: readonly FoundHook[]): HookPlan {
  // One in doubt may have arrived with a request whose answer was lost, or may arrive yet; so it is sent again, not replaced.
  const inDoubt = stored.secretId !== null && !stored.secretArrived;
  const kept = hookToKeep(wanted, stored, found);
  if (kept === undefined) {
    const secret = inDoubt ? 'stored' : 'new';
    return { action: 'create', hookId: null, secret, drift: [], surplus: [], reenable: false };
  }
  const isRecorded = stored.secretArrived && kept.id === stored.gitlabHookId;
  const secretKnown = stored.secretId !== null && (isMarked(kept, stored) || isRecorded);
  const secret = secretKnown || inDoubt ? 'stored' : 'new';
  const drift = [
    ...driftOf(kept, wanted, secret === 'stored' ? stored.secretId : null),
    ...(secretKnown ? [] : ['token']),
  ];
  return {
    action: drift.length > 0 ? 'update' : isRecorded ? 'keep' : 'adopt',
    hookId: kept.id,
    secret,
    drift,
    surplus: found.filter(({ id, url }) => id !== kept.id && isSameUrl(url, wanted.url)).map(({ id }) => id),
    reenable: kept.alertStatus === 'disabled' || kept.alertStatus === 'temporarily_disabled',
  };
}

/** All hooks of ours, for an owner that is to have none. @param wanted its URL is empty where it is not known */
export function planRemoval(
  wanted: Pick<WantedHook, 'url'>,
  stored: StoredHook,
  found: readonly FoundHook[],
): number[] {
  return found.filter((hook) => isOurs(hook, wanted, stored)).map(({ id }) => id);
}

/** What it is called that a plan was carried out. */
export function outcomeOf({ action, secret, surplus, reenable }: HookPlan, { everInstalled }: StoredHook): HookOutcome {
  switch (action) {
    case 'create':
      return everInstalled ? 'repaired' : 'installed';
    case 'adopt':
      return 'adopted';
    case 'update': // without a marker, a secret in doubt is sent again to the hook that the lost answer was about
      return !everInstalled && secret === 'stored' ? 'adopted' : 'repaired';
    case 'keep':
      return surplus.length > 0 || reenable ? 'repaired' : 'verified';
  }
}

/** The one whose secret is surest to be known. */
function hookToKeep(wanted: WantedHook, stored: StoredHook, found: readonly FoundHook[]): FoundHook | undefined {
  const rank = (hook: FoundHook): number =>
    (isMarked(hook, stored) ? 0 : 4) +
    (hook.id === stored.gitlabHookId ? 0 : 2) +
    (isSameUrl(hook.url, wanted.url) ? 0 : 1);
  return found
    .filter((hook) => isOurs(hook, wanted, stored))
    .sort((one, other) => rank(one) - rank(other) || one.id - other.id)[0];
}

function isOurs(hook: FoundHook, wanted: Pick<WantedHook, 'url'>, stored: StoredHook): boolean {
  return isSameUrl(hook.url, wanted.url) || isMarked(hook, stored) || hook.id === stored.gitlabHookId;
}

function isMarked({ description }: FoundHook, { secretId }: StoredHook): boolean {
  return secretId !== null && secretIdIn(description) === secretId;
}

/** @param secretId the secret it is to speak of; null for one that is still to be made */
function driftOf(hook: FoundHook, wanted: WantedHook, secretId: string | null): string[] {
  const drift = Object.entries(wanted.flags)
    .filter(([flag, value]) => hook.flags[flag] !== undefined && hook.flags[flag] !== value)
    .map(([flag]) => flag);
  if (!isSameUrl(hook.url, wanted.url)) drift.push('url');
  if (!hook.sslVerification) drift.push('enable_ssl_verification');
  if (hook.branchFilter !== null && hook.branchFilter !== '') drift.push('push_events_branch_filter');
  if (hook.name !== undefined && hook.name !== HOOK_NAME) drift.push('name');
  if (hook.description !== undefined && (secretId === null || hook.description !== hookDescription(secretId)))
    drift.push('description');
  return drift;
}
