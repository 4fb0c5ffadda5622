import { type Selectable, sql } from 'kysely';
import type { ChecksState, CommitState } from '../domain/commit.ts';
import type { Database } from './connection.ts';
import { holdTracked } from './coverage-reports.ts';
import type { CommitTable } from './tables.ts';

/** A commit that was processed, or is to be. */
export interface Commit {
  /** Ours. */
  id: number;
  repositoryId: number;
  sha: string;
  state: CommitState;
  /** Why it is errored, in a sentence. */
  failure: string | null;
  checksState: ChecksState;
  checksDetail: string | null;
  /** The number of the last run of its checks; 0 before the first. */
  checksRun: number;
}

export async function findCommit(db: Database, id: number): Promise<Commit | undefined> {
  const row = await db.selectFrom('commits').selectAll().where('id', '=', id).executeTakeFirst();
  return row && commitOf(row);
}

export async function findCommitBySha(db: Database, repositoryId: number, sha: string): Promise<Commit | undefined> {
  const row = await db
    .selectFrom('commits')
    .selectAll()
    .where('repository_id', '=', repositoryId)
    .where('sha', '=', sha)
    .executeTakeFirst();
  return row && commitOf(row);
}

export interface KeptCommit {
  id: number;
  /** It was not known before. */
  isNew: boolean;
  state: CommitState;
}

/**
 * Makes a commit known; one that is known already stays as it is. The repository's row is held in share until the end of the
 * transaction, so that whoever removes the repository finds the commit, or keeps it from being written.
 * @returns undefined where the repository is not tracked
 */
export async function upsertCommit(
  db: Database,
  { repositoryId, sha }: { repositoryId: number; sha: string },
): Promise<KeptCommit | undefined> {
  if (!(await holdTracked(db, repositoryId))) return undefined;
  // Looked for first: an insert with a conflict would use up a number of the identity for every push of a known commit.
  const known = await findCommitBySha(db, repositoryId, sha);
  if (known !== undefined) return { id: known.id, isNew: false, state: known.state };
  const { rows } = await sql<KeptCommit>`
    insert into commits (repository_id, sha) values (${repositoryId}, ${sha})
    on conflict (repository_id, sha) do update set sha = excluded.sha
    returning id, xmax = 0 as "isNew", state
  `.execute(db);
  return rows[0];
}

/** What its checks come to. @param detail why none was begun, in a sentence */
export async function setChecksState(
  db: Database,
  id: number,
  state: ChecksState,
  detail: string | null = null,
): Promise<void> {
  await db.updateTable('commits').set({ checks_state: state, checks_detail: detail }).where('id', '=', id).execute();
}

function commitOf(row: Selectable<CommitTable>): Commit {
  return {
    id: row.id,
    repositoryId: row.repository_id,
    sha: row.sha,
    state: row.state,
    failure: row.failure,
    checksState: row.checks_state,
    checksDetail: row.checks_detail,
    checksRun: row.checks_run,
  };
}
