import pLimit from 'p-limit';
import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { requestJobs } from '../src/database/job-requests.ts';
import { holdUserPermissions, readUserRoles, writePermissions } from '../src/database/permissions.ts';
import { listTracked } from '../src/database/tracked-repositories.ts';
import { databaseTime } from '../src/database/turns.ts';
import { findUser, type User } from '../src/database/users.ts';
import { isNone, type ListedPermission, permissionChanges, type Role } from '../src/domain/permissions.ts';
import type { GitlabClient } from '../src/gitlab/client.ts';
import { GitlabForbidden, GitlabNotFound } from '../src/gitlab/errors.ts';
import { permanentFailure } from './failures.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { askingGitlab } from './gitlab-jobs.ts';
import type { JobDone, JobOutcome } from './job-context.ts';

interface Reading {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
  userId: number;
  signal: AbortSignal;
}

/** Repositories asked about at once. */
const AT_ONCE = 4;

/** Every answer is there before anything is written, in one transaction. */
export async function readUserMemberships({ db, gitlab, userId, signal }: Reading): Promise<JobOutcome> {
  const user = await findUser(db, userId);
  if (user === undefined) throw noUser(userId);
  const repositories = await listTracked(db);
  return askingGitlab(gitlab, async (client) => {
    const askedAt = await databaseTime(db);
    const ids = repositories.map(({ gitlabId }) => gitlabId);
    const roles = await readUserRoles(db, userId);
    const { listed, hidden } = await memberships(client, { user, ids, roles }, signal);
    signal.throwIfAborted();
    return keep(db, { user, listed, hidden, askedAt });
  });
}

const noUser = (userId: number) => permanentFailure(`there is no user ${userId}`);

interface Memberships {
  /** By GitLab's ids of the projects that answered; 0 where the user is no member. */
  listed: ListedPermission[];
  /** Projects that are gone, or hidden from us: of those nothing is known. */
  hidden: Set<number>;
}

/**
 * Whether a 404 is of the member or of the project matters only where the user would lose a role by it.
 * @throws what any of the questions ended with; then nothing is known
 */
async function memberships(
  client: GitlabClient,
  { user, ids, roles }: { user: User; ids: readonly number[]; roles: ReadonlyMap<number, Role> },
  signal: AbortSignal,
): Promise<Memberships> {
  const limit = pLimit(AT_ONCE);
  const result: Memberships = { listed: [], hidden: new Set() };
  const ask = async (gitlabProjectId: number): Promise<void> => {
    try {
      const member = await client.projectMember({ gitlabProjectId, gitlabUserId: user.gitlabId }, signal);
      if (member === null && roles.has(gitlabProjectId)) await client.project(gitlabProjectId, signal);
      result.listed.push({ id: gitlabProjectId, accessLevel: member?.accessLevel ?? 0 });
    } catch (error) {
      if (!(error instanceof GitlabNotFound || error instanceof GitlabForbidden)) throw error;
      result.hidden.add(gitlabProjectId);
    }
  };
  await Promise.all(ids.map((id) => limit(() => ask(id)))).catch((error: unknown) => {
    limit.clearQueue(); // the others would be asked in vain
    throw error;
  });
  return result;
}

async function keep(
  db: ForgeflowDatabase,
  { user, listed, hidden, askedAt }: Memberships & { user: User; askedAt: string },
): Promise<JobDone> {
  const userId = user.id;
  const answered = new Set(listed.map(({ id }) => id));
  return db.transaction().execute(async (transaction) => {
    const held = await holdUserPermissions(transaction, userId, askedAt);
    if (held === undefined) throw noUser(userId);
    const again = { kind: 'updateUserPermissions', payload: { userId } } as const;
    if (held.isOutdated) {
      await requestJobs(transaction, [again]);
      return { summary: 'somebody else has read them meanwhile: they are read again' };
    }
    const question = { stored: held.roles, listed, isComplete: true };
    const isAnswered = (id: number) => answered.has(id) && held.tracked.has(id);
    const changes = permissionChanges({ ...question, isKept: (id) => isAnswered(id) && !held.contested.has(id) });
    const contested = permissionChanges({ ...question, isKept: (id) => isAnswered(id) && held.contested.has(id) });
    await writePermissions(transaction, { userId }, changes);
    if (!isNone(contested)) await requestJobs(transaction, [again]);
    const [added, changed, removed] = [changes.insert.length, changes.change.length, changes.delete.length];
    return {
      summary: `@${user.username}: ${added} added, ${changed} changed, ${removed} removed`,
      ...{ added, changed, removed, hidden: hidden.size },
    };
  });
}
