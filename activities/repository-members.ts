import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { type JobRequest, requestJobs } from '../src/database/job-requests.ts';
import { holdRepositoryPermissions, readRepositoryRoles, writePermissions } from '../src/database/permissions.ts';
import { findTracked, type TrackedRepository } from '../src/database/tracked-repositories.ts';
import { databaseTime } from '../src/database/turns.ts';
import { upsertUsers } from '../src/database/users.ts';
import { isNone, permissionChanges, roleOf } from '../src/domain/permissions.ts';
import type { GitlabClient } from '../src/gitlab/client.ts';
import { GitlabForbidden, GitlabNotFound } from '../src/gitlab/errors.ts';
import type { ProjectMember } from '../src/gitlab/members.ts';
import { permanentFailure } from './failures.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { askingGitlab } from './gitlab-jobs.ts';
import type { JobDone, JobOutcome } from './job-context.ts';

interface Reading {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
  repositoryId: number;
  signal: AbortSignal;
}

/** The whole list is read before anything is written, in one transaction: of half a list nothing follows. */
export async function readRepositoryMembers({ db, gitlab, repositoryId, signal }: Reading): Promise<JobOutcome> {
  const repository = await findTracked(db, repositoryId);
  if (repository === undefined) throw notTracked(repositoryId);
  return askingGitlab(gitlab, async (client) => {
    const askedAt = await databaseTime(db);
    const members = await allMembers(db, client, repository, signal).catch((error: unknown) => {
      if (error instanceof GitlabNotFound || error instanceof GitlabForbidden)
        throw permanentFailure(`GitLab does not show the members of ${repository.path} to the token's account`);
      throw error;
    });
    signal.throwIfAborted();
    return keep(db, { repositoryId, members, askedAt });
  });
}

const notTracked = (repositoryId: number) => permanentFailure(`there is no tracked repository ${repositoryId}`);

/** A list of several pages may have shifted while it was read: whom it seems to lack is asked for once more. */
async function allMembers(
  db: ForgeflowDatabase,
  client: GitlabClient,
  { id, gitlabId: gitlabProjectId }: TrackedRepository,
  signal: AbortSignal,
): Promise<ProjectMember[]> {
  const { members, pages } = await client.projectMembers(gitlabProjectId, signal);
  if (pages === 1) return members;
  const listed = new Set(members.map(({ gitlabId }) => gitlabId));
  for (const gitlabUserId of (await readRepositoryRoles(db, id)).keys()) {
    if (listed.has(gitlabUserId)) continue;
    const member = await client.projectMember({ gitlabProjectId, gitlabUserId }, signal);
    if (member !== null) members.push(member);
  }
  return members;
}

async function keep(
  db: ForgeflowDatabase,
  { repositoryId, members, askedAt }: { repositoryId: number; members: ProjectMember[]; askedAt: string },
): Promise<JobDone> {
  return db.transaction().execute(async (transaction) => {
    const held = await holdRepositoryPermissions(transaction, repositoryId, askedAt);
    if (held === undefined) throw notTracked(repositoryId);
    const again: JobRequest = { kind: 'updateRepositoryPermissions', payload: { repositoryId } };
    if (held.isOutdated) {
      await requestJobs(transaction, [again]);
      return { summary: 'somebody else has read them meanwhile: they are read again' };
    }
    const allowed = members.filter(({ accessLevel }) => roleOf(accessLevel) !== null);
    const users = await upsertUsers(transaction, allowed);
    const question = {
      stored: held.roles,
      listed: members.map(({ gitlabId: id, accessLevel }) => ({ id, accessLevel })),
      isComplete: true,
    };
    const changes = permissionChanges({ ...question, isKept: (id) => !held.contested.has(id) });
    const contested = permissionChanges({ ...question, isKept: (id) => held.contested.has(id) });
    await writePermissions(transaction, { repositoryId }, changes);
    const met = users.filter(({ isNew }) => isNew);
    await requestJobs(transaction, [
      ...met.map(({ id: userId }): JobRequest => ({ kind: 'updateCommitsAuthor', payload: { userId } })),
      ...(isNone(contested) ? [] : [again]),
    ]);
    const [added, changed, removed] = [changes.insert.length, changes.change.length, changes.delete.length];
    return {
      summary: `${users.length} users: ${added} added, ${changed} changed, ${removed} removed`,
      ...{ users: users.length, added, changed, removed },
    };
  });
}
