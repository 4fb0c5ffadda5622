import { sql } from 'kysely';
import type { AlertStatus, BlockedState, HookState } from '../domain/hook-state.ts';
import type { Database } from './connection.ts';

/** How the webhooks of the repositories stand, in numbers. */
export interface HookCounts {
  /** Those that GitLab has disabled are among them. */
  installed: number;
  covered: number;
  pending: number;
  /** Installed, but disabled by GitLab, for a while or for good. */
  disabled: number;
  blocked: Record<BlockedState, number>;
  /** To be looked at by the next run. */
  due: number;
  /** When the next one is due, or was; null where none is tracked. */
  nextDueAt: Date | null;
}

/** Of repositories; what is due by then, groups included. */
export async function countHooks(db: Database, at = new Date()): Promise<HookCounts> {
  const { rows } = await sql<HookCounts>`
    select
      coalesce(sum(count) filter (where state = 'installed'), 0)::int as installed,
      coalesce(sum(count) filter (where state = 'covered'), 0)::int as covered,
      coalesce(sum(count) filter (where state = 'pending'), 0)::int as pending,
      coalesce(sum(disabled) filter (where state = 'installed'), 0)::int as disabled,
      json_build_object(
        'not_found', coalesce(sum(count) filter (where state = 'not_found'), 0),
        'no_access', coalesce(sum(count) filter (where state = 'no_access'), 0),
        'invalid_credentials', coalesce(sum(count) filter (where state = 'invalid_credentials'), 0),
        'error', coalesce(sum(count) filter (where state = 'error'), 0)
      ) as blocked,
      (select count(*) from gitlab_hooks
        where state <> 'covered' and (repository_id is not null or group_id is not null) and due_at <= ${at})::int as due,
      (select min(due_at) from gitlab_hooks
        where state <> 'covered' and (repository_id is not null or group_id is not null)) as "nextDueAt"
    from (
      select state, count(*) as count,
        count(*) filter (where alert_status in ('disabled', 'temporarily_disabled')) as disabled
      from gitlab_hooks where repository_id is not null group by state
    ) as counted
  `.execute(db);
  const [counts] = rows;
  if (counts === undefined) throw new Error('Postgres gave no row of counts');
  return counts;
}

export interface HookReason {
  state: BlockedState;
  reason: string | null;
  count: number;
  /** One that has it. */
  example: string;
}

/** Why repositories have no webhook, the most frequent reasons first. */
export async function listHookReasons(db: Database, limit: number): Promise<HookReason[]> {
  const { rows } = await sql<HookReason>`
    select state, reason, count(*)::int as count, min(path) as example
    from gitlab_hooks join repositories on repositories.id = repository_id
    where state in ('not_found', 'no_access', 'invalid_credentials', 'error')
    group by state, reason order by count desc, state, reason limit ${limit}
  `.execute(db);
  return rows;
}

export interface GroupHook {
  path: string;
  state: HookState;
  reason: string | null;
  alertStatus: AlertStatus | null;
  disabledUntil: Date | null;
  lastCheckedAt: Date | null;
}

export async function listGroupHooks(db: Database): Promise<GroupHook[]> {
  return db
    .selectFrom('gitlab_hooks')
    .innerJoin('gitlab_groups', 'gitlab_groups.id', 'gitlab_hooks.group_id')
    .select([
      'path',
      'state',
      'reason',
      'alert_status as alertStatus',
      'disabled_until as disabledUntil',
      'last_checked_at as lastCheckedAt',
    ])
    .orderBy('path')
    .execute();
}
