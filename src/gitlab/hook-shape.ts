import { z } from 'zod';
import type { HookFlags } from '../domain/hook-events.ts';
import type { FoundHook } from '../domain/hook-plan.ts';
import { ALERT_STATUSES } from '../domain/hook-state.ts';
import { id } from './shapes.ts';

/** A hook as it is to be in GitLab. */
export interface HookBody {
  url: string;
  /** GitLab never gives it back. */
  token: string;
  flags: HookFlags;
  sslVerification: true;
  name: string;
  description: string;
  customHeaders: readonly { key: string; value: string }[];
  branchFilter: '';
}

/**
 * The hook in GitLab's words. What a version does not know yet (name and description came with 17.1, and so did custom
 * headers) it drops without a word.
 */
export function hookAttributes({ url: _, flags, ...hook }: HookBody): Record<string, unknown> {
  return {
    ...flags,
    token: hook.token,
    enable_ssl_verification: hook.sslVerification,
    push_events_branch_filter: hook.branchFilter,
    name: hook.name,
    description: hook.description,
    custom_headers: hook.customHeaders,
  };
}

const text = z.string().nullish();

export const hook = z
  .looseObject({
    id,
    url: z.string(),
    enable_ssl_verification: z.boolean(),
    push_events: z.boolean(),
    push_events_branch_filter: text,
    // A status that GitLab comes to invent must not keep hooks from being looked after.
    alert_status: z.enum(ALERT_STATUSES).nullish().catch(null),
    disabled_until: text,
    name: text,
    description: text,
  })
  .transform((found): FoundHook => ({
    id: found.id,
    url: found.url,
    flags: flagsIn(found),
    sslVerification: found.enable_ssl_verification,
    branchFilter: found.push_events_branch_filter ?? null,
    alertStatus: found.alert_status ?? null,
    disabledUntil: found.disabled_until ?? null,
    ...('name' in found && { name: found.name ?? null }),
    ...('description' in found && { description: found.description ?? null }),
  }));

/** Every event's flag that this version of GitLab shows, also of events that we do not know. */
function flagsIn(found: Record<string, unknown>): Record<string, boolean> {
  return Object.fromEntries(
    Object.entries(found).filter(
      (entry): entry is [string, boolean] => entry[0].endsWith('_events') && typeof entry[1] === 'boolean',
    ),
  );
}
