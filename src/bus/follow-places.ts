import type { Database } from '../database/connection.ts';
import type { JobRequest } from '../database/job-requests.ts';
import { findGroupAbove } from '../database/organization-repositories.ts';
import { findRepositoryByGitlabId, upsertRepositories } from '../database/repositories.ts';
import { findTrackedByGitlabId } from '../database/tracked-repositories.ts';
import { findUserByGitlabId, upsertUsers } from '../database/users.ts';
import type { NamedUser, PlaceNews } from '../domain/place-triggers.ts';

/**
 * Keeps what an event tells of places and people; of repositories and users that nobody has come across it keeps nothing but
 * new members.
 * @returns the jobs that look at it again, for an event only says that something has changed
 */
export async function followPlaces(db: Database, news: PlaceNews): Promise<JobRequest[]> {
  switch (news.what) {
    case 'project_destroyed': {
      const repository = await findRepositoryByGitlabId(db, news.projectId);
      return repository === undefined ? [] : [{ kind: 'destroyRepository', payload: { repositoryId: repository.id } }];
    }
    case 'project_moved':
      return [...(await followProject(db, news)), ...(await listingOf(db, news.path))];
    case 'project_changed':
      return followProject(db, news);
    case 'project_members':
      return permissionsIn(db, news.projectId);
    case 'group_projects':
      return listingOf(db, news.path);
    case 'membership': {
      const { userId, requests } = await meet(db, news.user);
      return [...requests, { kind: 'updateUserPermissions', payload: { userId } }];
    }
    case 'user_created':
      return (await meet(db, news.user)).requests;
    case 'user_renamed':
      if ((await findUserByGitlabId(db, news.user.gitlabId)) !== undefined) await upsertUsers(db, [news.user]);
      return [];
    case 'user_destroyed': {
      const userId = await findUserByGitlabId(db, news.userId);
      if (userId === undefined) return [];
      return (['updateUserPermissions', 'updateCommitsAuthor'] as const).map((kind) => ({ kind, payload: { userId } }));
    }
  }
}

/** Of one that we know its path now. */
async function followProject(
  db: Database,
  { projectId, path }: { projectId: number; path: string },
): Promise<JobRequest[]> {
  if ((await findRepositoryByGitlabId(db, projectId)) === undefined) return [];
  await upsertRepositories(db, [{ gitlabId: projectId, path }], { groupId: null, at: new Date() });
  return permissionsIn(db, projectId);
}

async function permissionsIn(db: Database, projectId: number): Promise<JobRequest[]> {
  const repository = await findTrackedByGitlabId(db, projectId);
  if (repository === undefined) return [];
  return [{ kind: 'updateRepositoryPermissions', payload: { repositoryId: repository.id } }];
}

/** Of the group that is listed and has something at this path. */
async function listingOf(db: Database, path: string): Promise<JobRequest[]> {
  const group = await findGroupAbove(db, path);
  return group === undefined ? [] : [{ kind: 'updateOrganizationRepositories', payload: { group } }];
}

async function meet(db: Database, user: NamedUser): Promise<{ userId: number; requests: JobRequest[] }> {
  const [kept] = await upsertUsers(db, [user]);
  if (kept === undefined) throw new Error('Postgres gave no row of the user');
  const { id: userId, isNew } = kept;
  return { userId, requests: isNew ? [{ kind: 'updateCommitsAuthor', payload: { userId } }] : [] };
}
