/** What GitLab's webhooks tell of, as its API names them, each with `_events` at its end; some only projects know, some only groups. */
const SHARED_EVENTS = [
  'push',
  'tag_push',
  'merge_requests',
  'issues',
  'confidential_issues',
  'note',
  'confidential_note',
  'job',
  'pipeline',
  'wiki_page',
  'deployment',
  'feature_flag',
  'releases',
  'milestone',
  'emoji',
  'resource_access_token',
  'vulnerability',
] as const;
const PROJECT_EVENTS = ['resource_deploy_token'] as const;
const GROUP_EVENTS = ['member', 'project', 'subgroup'] as const;

export const HOOK_EVENTS = [...SHARED_EVENTS, ...PROJECT_EVENTS, ...GROUP_EVENTS] as const;
export type HookEvent = (typeof HOOK_EVENTS)[number];

/** Hooks of projects are not told of the last three, which only groups have. */
export const DEFAULT_HOOK_EVENTS: readonly HookEvent[] = [
  'push',
  'tag_push',
  'merge_requests',
  'issues',
  'note',
  'job',
  'pipeline',
  'member',
  'project',
  'subgroup',
];

export type HookOwnerKind = 'project' | 'group';

export type HookFlag = `${HookEvent}_events`;
/** The flags that a kind of owner knows, each on or off. */
export type HookFlags = Readonly<Partial<Record<HookFlag, boolean>>>;

/**
 * Every flag that hooks of such an owner have: one that is left out has a default of GitLab's, which is on for some.
 * Events that it does not know are passed over.
 */
export function flagsOf(events: readonly HookEvent[], owner: HookOwnerKind): HookFlags {
  const known: readonly HookEvent[] = [...SHARED_EVENTS, ...(owner === 'group' ? GROUP_EVENTS : PROJECT_EVENTS)];
  return Object.fromEntries(known.map((event) => [`${event}_events`, events.includes(event)]));
}
