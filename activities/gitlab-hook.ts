import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { storeHookSecret } from '../src/database/gitlab-hook-records.ts';
import type { HookRecord } from '../src/database/gitlab-hooks.ts';
import { flagsOf } from '../src/domain/hook-events.ts';
import { HOOK_HEADER, HOOK_NAME, hookDescription } from '../src/domain/hook-marker.ts';
import { type FoundHook, type HookPlan, outcomeOf, planHook, planRemoval } from '../src/domain/hook-plan.ts';
import type { HookOutcome } from '../src/domain/hook-state.ts';
import { GitlabForbidden, GitlabNotFound, GitlabRateLimited, GitlabRejected } from '../src/gitlab/errors.ts';
import { newHookSecret } from '../src/secrets/hook-secret.ts';
import type { Sealer } from '../src/secrets/sealer.ts';
import type { GitlabSettings } from './gitlab-access.ts';

export interface HookWork {
  /** A connection of its own, which holds the lock of the hook. */
  db: ForgeflowDatabase;
  sealer: Sealer;
  settings: GitlabSettings;
  /** GitLab's id of our account. */
  userId: number;
  signal: AbortSignal;
}

export interface HookInPlace {
  outcome: HookOutcome;
  hook: FoundHook;
  /** Which secret the hook has. */
  secretId: string;
}

/** Our account is less than a Maintainer. */
export class NoAccess extends Error {
  override readonly name = 'NoAccess';
}

/** The secret of a hook was sealed with another SECRETS_KEY than ours. */
export class UnreadableSecret extends Error {
  override readonly name = 'UnreadableSecret';
}

/**
 * Brings the one hook of a repository or group into place, whatever is there. A secret is stored before any request that
 * carries it, so that whoever comes after us, however we end, finds in Postgres what GitLab may have.
 * @throws GitlabError for what GitLab answered; NoAccess; UnreadableSecret
 */
export async function bringIntoPlace(work: HookWork, record: HookRecord): Promise<HookInPlace> {
  const { client, hookUrl, events } = work.settings;
  const { owner, stored } = record;
  if (!stored.everInstalled) await requireAccess(work, record);
  const found = await client.listHooks(owner, work.signal).catch(async (error: unknown) => {
    // A list of hooks is for Maintainers: why we are not let in is to be seen elsewhere.
    if (error instanceof GitlabNotFound || error instanceof GitlabForbidden) await requireAccess(work, record);
    throw error;
  });
  const wanted = { url: hookUrl, flags: flagsOf(events, owner.kind) };
  const plan = planHook(wanted, stored, found);
  const { hook: kept, secretId } = await carryOut(work, record, plan, found);
  for (const id of plan.surplus) await client.deleteHook(owner, id, work.signal);
  const hook = plan.reenable ? await reenable(work, record, kept) : kept;
  return { outcome: outcomeOf(plan, stored), hook, secretId };
}

/** Removes what hooks of ours a repository has, since that of its group covers it. */
export async function removeHooks({ settings, signal }: HookWork, { owner, stored }: HookRecord): Promise<void> {
  const wanted = { url: settings.hookUrl, flags: flagsOf(settings.events, owner.kind) };
  const found = await settings.client.listHooks(owner, signal);
  for (const id of planRemoval(wanted, stored, found)) await settings.client.deleteHook(owner, id, signal);
}

async function requireAccess({ settings, userId, signal }: HookWork, { owner }: HookRecord): Promise<void> {
  const { sufficient, level } = await settings.client.accessOf(owner, userId, signal);
  if (sufficient) return;
  throw new NoAccess(
    level === null
      ? `our account is not a member of the ${owner.kind}`
      : `our account has access level ${level}; hooks need ${owner.kind === 'group' ? '50 (Owner)' : '40 (Maintainer)'}`,
  );
}

async function carryOut(
  work: HookWork,
  record: HookRecord,
  plan: HookPlan,
  found: readonly FoundHook[],
): Promise<Omit<HookInPlace, 'outcome'>> {
  const { client, hookUrl, events } = work.settings;
  const { owner, stored } = record;
  const existing = found.find(({ id }) => id === plan.hookId);
  // One that GitLab disabled may have lost its token, as when somebody changed its URL and changed it back: no list shows that.
  const isLeft = (plan.action === 'keep' || plan.action === 'adopt') && !plan.reenable;
  if (isLeft && existing !== undefined && stored.secretId !== null)
    return { hook: existing, secretId: stored.secretId };
  const { secretId, token } = await secretFor(work, record, plan.secret);
  const body = {
    url: hookUrl,
    token,
    flags: flagsOf(events, owner.kind),
    sslVerification: true as const,
    branchFilter: '' as const,
    name: HOOK_NAME,
    description: hookDescription(secretId),
    customHeaders: [{ key: HOOK_HEADER, value: record.id }],
  };
  const hook = await (plan.hookId === null
    ? client.createHook(owner, body, work.signal)
    : client.updateHook(owner, plan.hookId, body, work.signal));
  return { hook, secretId };
}

async function secretFor(
  { db, sealer }: HookWork,
  { id, stored, secretSealed }: HookRecord,
  which: HookPlan['secret'],
): Promise<{ secretId: string; token: string }> {
  if (which === 'stored' && stored.secretId !== null && secretSealed !== null)
    return { secretId: stored.secretId, token: openToken(sealer, secretSealed) };
  const { token, ...secret } = newHookSecret(sealer);
  await storeHookSecret(db, id, secret);
  return { secretId: secret.secretId, token };
}

function openToken(sealer: Sealer, sealed: Buffer): string {
  try {
    return sealer.open(sealed);
  } catch {
    throw new UnreadableSecret('its secret was sealed with another SECRETS_KEY, so it cannot be sent to GitLab again');
  }
}

/**
 * GitLab enables a hook again that it disabled when a test send gets through. One that does not, because the receiver fails
 * still, or too many were sent lately, leaves the hook as it is, to be looked at again.
 */
async function reenable({ settings, signal }: HookWork, { owner }: HookRecord, hook: FoundHook): Promise<FoundHook> {
  try {
    await settings.client.testHook(owner, hook.id, signal);
  } catch (error) {
    const isOfThisHook =
      error instanceof GitlabRejected || (error instanceof GitlabRateLimited && error.scope === 'call');
    if (!isOfThisHook) throw error;
    return hook;
  }
  return { ...hook, alertStatus: 'executable', disabledUntil: null };
}
