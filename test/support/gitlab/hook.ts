import { HOOK_FLAGS, type HookFlag } from './hook-events.ts';
import type { Owner } from './places.ts';

export type HookFlags = Record<HookFlag, boolean>;

/** What a person or a client sets, by the names of the API. */
export interface HookFields extends HookFlags {
  url: string;
  /** Null: none. It is sent to the receiver, and never shown by the API. */
  token: string | null;
  name: string | null;
  description: string | null;
  enable_ssl_verification: boolean;
  push_events_branch_filter: string | null;
  branch_filter_strategy: 'wildcard' | 'regex' | 'all_branches';
  custom_webhook_template: string | null;
  /** Values by name; the API shows the names alone. */
  custom_headers: Record<string, string>;
}

export interface Hook extends HookFields {
  id: number;
  owner: Owner;
  /** Epoch ms. */
  createdAt: number;
  /** In a row. */
  failures: number;
  /** Epoch ms. It stays when it has passed, until the next success. */
  disabledUntil: number | null;
}

export function newHook(id: number, owner: Owner, at: number, fields: Partial<HookFields> & { url: string }): Hook {
  const flags = Object.fromEntries(HOOK_FLAGS.map((flag) => [flag, flag === 'push_events'])) as HookFlags;
  return {
    id,
    owner,
    createdAt: at,
    failures: 0,
    disabledUntil: null,
    token: null,
    name: null,
    description: null,
    enable_ssl_verification: true,
    push_events_branch_filter: null,
    branch_filter_strategy: 'wildcard',
    custom_webhook_template: null,
    ...flags,
    ...fields,
    custom_headers: { ...fields.custom_headers },
  };
}

/** As GitLab does it for its API and its pages alike: a new URL takes the token and the custom headers with it. */
export function changeHook(hook: Hook, changes: Partial<HookFields>): void {
  const moved = changes.url !== undefined && changes.url !== hook.url;
  Object.assign(hook, changes);
  if (!moved) return;
  if (changes.token === undefined) hook.token = null;
  // Also those that came with the new URL: GitLab drops them just before it saves.
  hook.custom_headers = {};
}
