import { sql } from 'kysely';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { upsertMergeRequest } from '../../src/database/merge-requests.ts';
import type { MergeRequest } from '../../src/domain/merge-request.ts';
import { addRepository } from './hook-rows.ts';

/** A commit's hash, for a test that needs no commit. */
export const hashOf = (digit: string | number): string => String(digit).repeat(40).slice(0, 40);

export async function addTrackedRepository(
  db: ForgeflowDatabase,
  repository: { path?: string; requiredApprovals?: number | null } = {},
): Promise<{ id: number; gitlabId: number; path: string }> {
  const { requiredApprovals = null, ...place } = repository;
  const { id, gitlabId, path } = await addRepository(db, place);
  await sql`
    update repositories set tracked_at = now(), default_branch = 'main', required_approvals = ${requiredApprovals}
    where id = ${id}
  `.execute(db);
  return { id, gitlabId, path };
}

/** As GitLab would tell of it, with what a test does not care for made up. */
export function mergeRequestIn(gitlabProjectId: number, changes: Partial<MergeRequest> = {}): MergeRequest {
  const iid = changes.iid ?? 1;
  return {
    gitlabId: gitlabProjectId * 1_000 + iid,
    iid,
    gitlabProjectId,
    title: `Change ${iid}`,
    sourceBranch: `feature-${iid}`,
    targetBranch: 'main',
    sourceGitlabProjectId: gitlabProjectId,
    headSha: hashOf('a'),
    isDraft: false,
    state: 'opened',
    reviewers: [],
    updatedAt: Date.UTC(2026, 10, 26),
    ...changes,
  };
}

/** @returns its id, ours */
export async function addMergeRequest(
  db: ForgeflowDatabase,
  gitlabProjectId: number,
  changes: Partial<MergeRequest> = {},
): Promise<number> {
  const kept = await upsertMergeRequest(db, mergeRequestIn(gitlabProjectId, changes));
  if (kept === undefined) throw new Error('the merge request was not kept');
  return kept.id;
}
