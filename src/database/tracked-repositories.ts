import { type Selectable, sql } from 'kysely';
import type { Database } from './connection.ts';
import { deleteContents } from './destroy-repository.ts';
import type { RepositoryTable } from './tables.ts';

/** A repository that is cloned, indexed and looked after. */
export interface TrackedRepository {
  /** Ours. */
  id: number;
  gitlabId: number;
  path: string;
  trackedAt: Date;
  /** Null where it has no commits, or before it was first looked at. */
  defaultBranch: string | null;
  headSha: string | null;
  /** Null: as GitLab's own rules say, and where it has none, one. */
  requiredApprovals: number | null;
  fetchedAt: Date | null;
  /** What its clone takes on disk; null before it was first cloned. */
  cloneBytes: number | null;
}

/**
 * Tracks a repository from now on; one that is tracked already stays so.
 * @param requiredApprovals left out: as it was; null: as GitLab says
 * @returns undefined where there is no such repository
 */
export async function trackRepository(
  db: Database,
  id: number,
  { requiredApprovals }: { requiredApprovals?: number | null | undefined } = {},
): Promise<TrackedRepository | undefined> {
  const row = await db
    .updateTable('repositories')
    .set({
      tracked_at: sql`coalesce(tracked_at, now())`,
      ...(requiredApprovals === undefined ? {} : { required_approvals: requiredApprovals }),
    })
    .where('id', '=', id)
    .returningAll()
    .executeTakeFirst();
  return row && trackedOf(row);
}

/**
 * Tracks it no longer: all that is known of it but its webhook goes.
 * @returns false where it was not tracked
 */
export async function untrackRepository(db: Database, id: number): Promise<boolean> {
  if (!db.isTransaction) return db.transaction().execute((transaction) => untrackRepository(transaction, id));
  // Whoever is about to add something to it has the row in share until that is there; then it goes with the rest.
  await db.selectFrom('repositories').select('id').where('id', '=', id).forUpdate().execute();
  const { numUpdatedRows } = await db
    .updateTable('repositories')
    .set({
      tracked_at: null,
      default_branch: null,
      head_sha: null,
      required_approvals: null,
      fetched_at: null,
      clone_bytes: null,
      commits_size: null,
      token_hash: null,
      permissions_read_at: null,
    })
    .where('id', '=', id)
    .where('tracked_at', 'is not', null)
    .executeTakeFirst();
  await deleteContents(db, id);
  return numUpdatedRows === 1n;
}

export async function findTracked(db: Database, id: number): Promise<TrackedRepository | undefined> {
  const row = await db
    .selectFrom('repositories')
    .selectAll()
    .where('id', '=', id)
    .where('tracked_at', 'is not', null)
    .executeTakeFirst();
  return row && trackedOf(row);
}

export async function findTrackedByGitlabId(db: Database, gitlabId: number): Promise<TrackedRepository | undefined> {
  const row = await db
    .selectFrom('repositories')
    .selectAll()
    .where('gitlab_id', '=', String(gitlabId))
    .where('tracked_at', 'is not', null)
    .executeTakeFirst();
  return row && trackedOf(row);
}

/** The one that was last seen with this path. GitLab's paths ignore case. */
export async function findTrackedByPath(db: Database, path: string): Promise<TrackedRepository | undefined> {
  const row = await db
    .selectFrom('repositories')
    .selectAll()
    .where(sql<boolean>`lower(path) = lower(${path})`)
    .where('tracked_at', 'is not', null)
    .orderBy('last_seen_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row && trackedOf(row);
}

/** All of them, by path. */
export async function listTracked(db: Database): Promise<TrackedRepository[]> {
  const rows = await db
    .selectFrom('repositories')
    .selectAll()
    .where('tracked_at', 'is not', null)
    .orderBy(sql`lower(path)`)
    .orderBy('id')
    .execute();
  return rows.map(trackedOf);
}

/** Its clone was brought up to date just now. @returns false where it is not tracked any more */
export async function recordClone(db: Database, id: number, bytes: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('repositories')
    .set({ fetched_at: sql`now()`, clone_bytes: bytes })
    .where('id', '=', id)
    .where('tracked_at', 'is not', null)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/**
 * Its default branch and where that stands, as somebody has just seen it; both null where it has no commits. Nothing is
 * written where it is not tracked any more.
 */
export async function recordHead(
  db: Database,
  id: number,
  { branch, sha }: { branch: string | null; sha: string | null },
): Promise<void> {
  await db
    .updateTable('repositories')
    .set({ default_branch: branch, head_sha: sha })
    .where('id', '=', id)
    .where('tracked_at', 'is not', null)
    .execute();
}

function trackedOf(row: Selectable<RepositoryTable>): TrackedRepository {
  return {
    id: row.id,
    gitlabId: Number(row.gitlab_id),
    path: row.path,
    trackedAt: row.tracked_at ?? row.created_at,
    defaultBranch: row.default_branch,
    headSha: row.head_sha,
    requiredApprovals: row.required_approvals,
    fetchedAt: row.fetched_at,
    cloneBytes: row.clone_bytes === null ? null : Number(row.clone_bytes),
  };
}
