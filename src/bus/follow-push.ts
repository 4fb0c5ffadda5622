import { moveBranch } from '../database/branches.ts';
import { upsertCommit } from '../database/commits.ts';
import { coverBranches, lockCommit } from '../database/commit-coverage.ts';
import type { Database } from '../database/connection.ts';
import { holdTracked } from '../database/coverage-reports.ts';
import type { JobRequest } from '../database/job-requests.ts';
import { findTrackedByGitlabId } from '../database/tracked-repositories.ts';
import type { PushedBranch } from '../domain/pushed-branch.ts';

/**
 * Keeps where a branch is that was pushed, and the commit at its head. Events may overtake one another, so each asks for a
 * job that looks for itself: the commit's, or where that is known and done, the repository's.
 * @returns the jobs to ask for
 */
export async function followPush(
  db: Database,
  { gitlabProjectId, name, headSha }: PushedBranch,
): Promise<JobRequest[]> {
  const repository = await findTrackedByGitlabId(db, gitlabProjectId);
  if (repository === undefined) return [];
  const { id: repositoryId } = repository;
  // Before the commit: whoever removes the repository has locked it, and waits for its commits.
  if (!(await holdTracked(db, repositoryId))) return [];
  const look: JobRequest = { kind: 'initializeRepository', payload: { repositoryId } };
  if (headSha === null) {
    await moveBranch(db, { repositoryId, name, headSha });
    return [look];
  }
  const commit = await upsertCommit(db, { repositoryId, sha: headSha });
  if (commit === undefined) return [];
  await lockCommit(db, commit.id);
  await moveBranch(db, { repositoryId, name, headSha });
  await coverBranches(db, commit.id);
  return [commit.state === 'completed' ? look : { kind: 'processCommit', payload: { commitId: commit.id } }];
}
