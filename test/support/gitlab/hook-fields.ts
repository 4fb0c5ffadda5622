import { HOOK_FLAGS, eventOf, type OwnerKind } from './hook-events.ts';
import { alertStatusOf } from './hook-health.ts';
import type { Hook } from './hook.ts';
import type { Parameter } from './parameters.ts';
import { isSince, type Settings } from './settings.ts';

const DESCRIBED_SINCE = '17.1';
const BRANCH_FILTER_STRATEGIES = ['wildcard', 'regex', 'all_branches'] as const;

/** What a client may set of a hook. */
export function hookParameters(kind: OwnerKind): Record<string, Parameter> {
  return {
    url: { type: 'string' },
    token: { type: 'string' },
    name: { type: 'string', since: DESCRIBED_SINCE },
    description: { type: 'string', since: DESCRIBED_SINCE },
    custom_headers: { type: 'headers', since: DESCRIBED_SINCE },
    enable_ssl_verification: { type: 'boolean' },
    push_events_branch_filter: { type: 'string' },
    branch_filter_strategy: { type: 'string', values: BRANCH_FILTER_STRATEGIES },
    custom_webhook_template: { type: 'string', since: '16.10' },
    ...Object.fromEntries(
      flagsOf(kind).map((flag) => {
        const { since } = eventOf(flag);
        return [flag, { type: 'boolean', ...(since !== undefined && { since }) } satisfies Parameter];
      }),
    ),
  };
}

/** What the API shows of it: never the token, and of custom headers the names, which lists of projects leave out. */
export function hookJson(
  hook: Hook,
  settings: Settings,
  now: number,
  { inList = false } = {},
): Record<string, unknown> {
  const { kind, id } = hook.owner;
  const described = isSince(settings, DESCRIBED_SINCE);
  const whole = !inList || kind === 'group';
  return {
    id: hook.id,
    url: hook.url,
    ...(described && { name: hook.name, description: hook.description }),
    created_at: new Date(hook.createdAt).toISOString(),
    [`${kind}_id`]: id,
    ...Object.fromEntries(shownFlags(kind, settings).map((flag) => [flag, hook[flag]])),
    repository_update_events: false,
    enable_ssl_verification: hook.enable_ssl_verification,
    alert_status: alertStatusOf(hook, settings, now),
    disabled_until: hook.disabledUntil === null ? null : new Date(hook.disabledUntil).toISOString(),
    push_events_branch_filter: hook.push_events_branch_filter,
    branch_filter_strategy: hook.branch_filter_strategy,
    ...(isSince(settings, '16.10') && { custom_webhook_template: hook.custom_webhook_template }),
    ...(whole && { url_variables: [] }),
    ...(whole && described && { custom_headers: Object.keys(hook.custom_headers).map((key) => ({ key })) }),
  };
}

const flagsOf = (kind: OwnerKind) => HOOK_FLAGS.filter((flag) => eventOf(flag).owners.includes(kind));
const shownFlags = (kind: OwnerKind, settings: Settings) =>
  flagsOf(kind).filter((flag) => {
    const { since } = eventOf(flag);
    return since === undefined || isSince(settings, since);
  });
