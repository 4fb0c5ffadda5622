export type OwnerKind = 'project' | 'group';

interface HookEvent {
  /** The header `X-Gitlab-Event`. */
  title: string;
  owners: readonly OwnerKind[];
  /** The version of GitLab whose API has the flag first; absent for the old ones. */
  since?: string;
  /** Whether `POST …/test/<flag>` knows it. */
  testable: boolean;
}

const both: readonly OwnerKind[] = ['project', 'group'];
const testable = (title: string, since?: string): HookEvent => ({
  title,
  owners: both,
  testable: true,
  ...(since !== undefined && { since }),
});
const untestable = (title: string, owners: readonly OwnerKind[] = both, since?: string): HookEvent => ({
  title,
  owners,
  testable: false,
  ...(since !== undefined && { since }),
});

/** The flags of a hook, as the API calls them. */
export const HOOK_EVENTS = {
  push_events: testable('Push Hook'),
  tag_push_events: testable('Tag Push Hook'),
  issues_events: testable('Issue Hook'),
  confidential_issues_events: testable('Confidential Issue Hook'),
  merge_requests_events: testable('Merge Request Hook'),
  note_events: testable('Note Hook'),
  confidential_note_events: untestable('Confidential Note Hook'),
  job_events: testable('Job Hook'),
  pipeline_events: testable('Pipeline Hook'),
  wiki_page_events: testable('Wiki Page Hook'),
  deployment_events: untestable('Deployment Hook'),
  feature_flag_events: untestable('Feature Flag Hook'),
  releases_events: testable('Release Hook'),
  milestone_events: untestable('Milestone Hook', both, '18.3'),
  emoji_events: testable('Emoji Hook', '16.2'),
  resource_access_token_events: testable('Resource Access Token Hook', '16.10'),
  vulnerability_events: untestable('Vulnerability Hook', both, '17.8'),
  member_events: untestable('Member Hook', ['group']),
  subgroup_events: untestable('Subgroup Hook', ['group']),
  project_events: untestable('Project Hook', ['group'], '17.7'),
} satisfies Record<string, HookEvent>;

export type HookFlag = keyof typeof HOOK_EVENTS;
export const HOOK_FLAGS = Object.keys(HOOK_EVENTS) as HookFlag[];
export const eventOf = (flag: HookFlag): HookEvent => HOOK_EVENTS[flag];
