import { type RawBuilder, sql } from 'kysely';
import type { HookOwnerKind } from '../domain/hook-events.ts';
import type { StoredHook } from '../domain/hook-plan.ts';
import type { HookState } from '../domain/hook-state.ts';
import type { Database, ForgeflowDatabase } from './connection.ts';
import { isCovered } from './gitlab-coverage.ts';

/** Who a hook belongs to. */
export interface HookOwner {
  kind: HookOwnerKind;
  /** Ours, of the repository or group. */
  id: number;
  gitlabId: number;
  path: string;
}

export interface HookRecord {
  id: string;
  owner: HookOwner;
  state: HookState;
  stored: StoredHook;
  /** The hook of its group sends its events, so that it is to have none of its own. */
  covered: boolean;
  /** The token of `stored.secretId`; null exactly where that is. */
  secretSealed: Buffer | null;
  /** In a row, so far. */
  failures: number;
  /** The run that last saw to it. */
  lastRunId: string | null;
  dueAt: Date;
}

/** Whose a token is that came with a request. */
export interface HookToken {
  /** The stored hash that equals the one that was asked for, for whoever has to compare it once more in constant time. */
  hash: Buffer;
  /** The project whose hook has it; null: a group's, or one made by hand. */
  gitlabProjectId: number | null;
}

export async function findHookToken(db: Database, tokenHash: Buffer): Promise<HookToken | undefined> {
  // The one before too: while a new one is on its way nobody knows which of them the hook has.
  const { rows } = await sql<{ hash: Buffer; gitlabId: string | null }>`
    select hash, (select gitlab_id from repositories where id = repository_id) as "gitlabId" from (
      select token_hash as hash, repository_id from gitlab_hooks where token_hash = ${tokenHash}
      union all
      select previous_token_hash, repository_id from gitlab_hooks where previous_token_hash = ${tokenHash}
      limit 1
    ) as found
  `.execute(db);
  return (
    rows[0] && { hash: rows[0].hash, gitlabProjectId: rows[0].gitlabId === null ? null : Number(rows[0].gitlabId) }
  );
}

export interface DueQuestion {
  runId: string;
  /** What is due by then. */
  at: Date;
}

function isDue({ runId, at }: DueQuestion): RawBuilder<boolean> {
  // The first two lines as in the partial indexes.
  return sql<boolean>`
    state <> 'covered'
    and (repository_id is not null or group_id is not null)
    and due_at <= ${at} and last_run_id is distinct from ${runId}
  `;
}

/** Hooks that are due and had no turn in this run: groups first, whose hooks cover others; then those longest unchecked. */
export async function listDueHooks(db: Database, { limit, ...question }: DueQuestion & { limit: number }) {
  const { rows } = await sql<{ id: string }>`
    select id from gitlab_hooks where ${isDue(question)}
    order by (group_id is null), last_checked_at nulls first, id limit ${limit}
  `.execute(db);
  return rows.map(({ id }) => id);
}

export async function countDueHooks(db: Database, question: DueQuestion): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from gitlab_hooks where ${isDue(question)}
  `.execute(db);
  return rows[0]?.count ?? 0;
}

/** @returns undefined for one that is not there, or was made by hand and belongs to nobody */
export async function readHook(db: Database, id: string): Promise<HookRecord | undefined> {
  return readWhere(db, sql`gitlab_hooks.id = ${id}`);
}

export async function findHookOfRepository(db: Database, repositoryId: number): Promise<HookRecord | undefined> {
  return readWhere(db, sql`gitlab_hooks.repository_id = ${repositoryId}`);
}

export async function findHookOfGroup(db: Database, groupId: number): Promise<HookRecord | undefined> {
  return readWhere(db, sql`gitlab_hooks.group_id = ${groupId}`);
}

interface HookRow {
  id: string;
  repositoryId: number | null;
  ownerId: number;
  gitlabId: string;
  path: string;
  state: HookState;
  gitlabHookId: string | null;
  secretId: string | null;
  secretSealed: Buffer | null;
  secretArrived: boolean;
  everInstalled: boolean;
  failures: number;
  lastRunId: string | null;
  dueAt: Date;
  covered: boolean;
}

async function readWhere(db: Database, condition: RawBuilder<unknown>): Promise<HookRecord | undefined> {
  const { rows } = await sql<HookRow>`
    select gitlab_hooks.id, repository_id as "repositoryId", owner.id as "ownerId", owner.gitlab_id as "gitlabId",
      owner.path, state, gitlab_hook_id as "gitlabHookId", secret_id as "secretId", secret_sealed as "secretSealed",
      secret_arrived as "secretArrived", installed_at is not null as "everInstalled", failures,
      last_run_id as "lastRunId", due_at as "dueAt", ${isCovered()} as covered
    from gitlab_hooks cross join lateral (
      select id, gitlab_id, path from repositories where id = gitlab_hooks.repository_id
      union all
      select id, gitlab_id, path from gitlab_groups where id = gitlab_hooks.group_id
    ) as owner
    where ${condition}
  `.execute(db);
  return rows[0] && recordOf(rows[0]);
}

function recordOf({ repositoryId, ownerId, gitlabId, path, gitlabHookId, ...row }: HookRow): HookRecord {
  const { secretId, secretArrived, everInstalled, ...record } = row;
  return {
    ...record,
    owner: { kind: repositoryId === null ? 'group' : 'project', id: ownerId, gitlabId: Number(gitlabId), path },
    stored: {
      gitlabHookId: gitlabHookId === null ? null : Number(gitlabHookId),
      secretId,
      secretArrived,
      everInstalled,
    },
  };
}

/**
 * Does something to a hook while nobody else does. Holds a connection of the pool for all that time.
 * @param work gets that connection, for its own statements: taking others besides, many at once would wait for each other's.
 * And should it break, so that the lock is anybody's, nothing more can be written by it
 * @returns 'busy', at once, when another one has the lock
 */
export async function withHookLock<T>(
  db: ForgeflowDatabase,
  id: string,
  work: (connection: ForgeflowDatabase) => Promise<T>,
): Promise<T | 'busy'> {
  return db.connection().execute(async (connection) => {
    const key = sql`hashtextextended(${`gitlab_hooks/${id}`}, 0)`;
    const { rows } = await sql<{ locked: boolean }>`select pg_try_advisory_lock(${key}) as locked`.execute(connection);
    if (rows[0]?.locked !== true) return 'busy';
    try {
      return await work(connection);
    } finally {
      // Where the connection is gone, so is the lock, and what the work came to stands.
      await sql`select pg_advisory_unlock(${key})`.execute(connection).catch(() => undefined);
    }
  });
}
