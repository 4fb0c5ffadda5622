import { flagsOf } from '../../src/domain/hook-events.ts';
import type { HookBody } from '../../src/gitlab/hook-shape.ts';

export const HOOK_TOKEN = 'h00k-t0ken-of-32-random-bytes';

/** A hook as the installer sends it. */
export function hookBody(changes: Partial<HookBody> = {}): HookBody {
  return {
    url: 'https://forge.example.com/gitlab/events',
    token: HOOK_TOKEN,
    flags: flagsOf(['push', 'merge_requests'], 'project'),
    sslVerification: true,
    name: 'forgeflow',
    description: 'Installed by forgeflow; secret 0198c1f2-7b1c-7000-8000-000000000001',
    customHeaders: [{ key: 'X-Forgeflow-Hook', value: '0198c1f2-7b1c-7000-8000-000000000002' }],
    branchFilter: '',
    ...changes,
  };
}

/** A hook as GitLab shows it. */
export const shownHook = {
  id: 7,
  url: 'https://forge.example.com/gitlab/events',
  name: 'forgeflow',
  description: 'Installed by forgeflow; secret 0198c1f2-7b1c-7000-8000-000000000001',
  created_at: '2026-11-25T10:00:00.000Z',
  push_events: true,
  tag_push_events: false,
  repository_update_events: false,
  enable_ssl_verification: true,
  project_id: 5,
  alert_status: 'executable',
  disabled_until: null,
  url_variables: [],
  push_events_branch_filter: '',
  branch_filter_strategy: 'wildcard',
  custom_webhook_template: null,
  custom_headers: [{ key: 'X-Forgeflow-Hook' }],
};
