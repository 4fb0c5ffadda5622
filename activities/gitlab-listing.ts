import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { upsertGroup } from '../src/database/gitlab-groups.ts';
import { beginOrResumeListing, completeListing, advanceListing } from '../src/database/gitlab-listings.ts';
import { findHookOfGroup, findHookOfRepository } from '../src/database/gitlab-hooks.ts';
import { findRepositoryByPath, releaseUnseen, upsertRepositories } from '../src/database/repositories.ts';
import type { Interruption } from '../src/domain/install-run.ts';
import { GitlabNotFound } from '../src/gitlab/errors.ts';
import { notInGitlab } from './failures.ts';
import { type GitlabAccess, isInterruption, orInterruption, reserveReached, settingsOf } from './gitlab-access.ts';

export interface GitlabListingDependencies {
  db: ForgeflowDatabase;
  gitlab: GitlabAccess;
}

/** Who we are to GitLab, and whose repositories are ours. */
export interface GitlabIdentity {
  userId: number;
  username: string;
  /** The configured group; null when all repositories count that the account is a Maintainer of. */
  group: { id: number; gitlabId: number; path: string; hookId: string } | null;
}

export interface ListingPage {
  listed: number;
  added: number;
  complete: boolean;
}

export type GitlabListing = ReturnType<typeof createGitlabListing>;

/** The listing of all that the account is a Maintainer of, where there is no group. */
const MEMBERSHIP = 'membership';

export function createGitlabListing({ db, gitlab }: GitlabListingDependencies) {
  return {
    /** @throws ApplicationFailure `SettingMissing`, `NotInGitLab` for the group, `GitLabFault` */
    async identify(): Promise<GitlabIdentity | Interruption> {
      const { client, group: wanted } = settingsOf(gitlab);
      return orInterruption(async () => {
        const { id, username } = await client.currentUser();
        if (wanted === undefined) return { userId: id, username, group: null };
        const group = await client.group(wanted).catch((error: unknown) => {
          if (error instanceof GitlabNotFound)
            throw notInGitlab(`GITLAB_GROUP: there is no group ${wanted} that the account ${username} sees`);
          throw error;
        });
        const row = await upsertGroup(db, group);
        const hook = await findHookOfGroup(db, row.id);
        if (hook === undefined) throw new Error(`the group ${group.path} has no row for its hook`);
        return { userId: id, username, group: { id: row.id, ...group, hookId: hook.id } };
      });
    },

    /**
     * Reads one page of the listing and keeps it; goes on where the last one stopped, of an earlier run too.
     * @param at the workflow's clock, ISO 8601
     */
    async listPage(identity: GitlabIdentity, at: string): Promise<ListingPage | Interruption> {
      const settings = settingsOf(gitlab);
      const { client } = settings;
      const { group } = identity;
      const scope = group === null ? MEMBERSHIP : `group/${group.id}`;
      const { cursor, startedAt } = await beginOrResumeListing(db, scope, new Date(at));
      const reached = reserveReached(settings, Date.now());
      if (reached !== undefined) return reached;
      const page = await orInterruption(async () =>
        group === null ? client.ownProjects(cursor) : client.groupProjects(group.gitlabId, cursor ?? 1),
      );
      if (isInterruption(page)) return page;
      const { known, added } = await upsertRepositories(db, page.items, {
        groupId: group?.id ?? null,
        at: new Date(at),
      });
      if (page.next !== null) {
        await advanceListing(db, scope, page.next);
        return { listed: known, added, complete: false };
      }
      if (group !== null) await releaseUnseen(db, group.id, startedAt);
      await completeListing(db, scope, new Date(at));
      return { listed: known, added, complete: true };
    },

    /**
     * One repository, by its path; one that is not tracked yet is looked up in GitLab.
     * @throws ApplicationFailure `NotInGitLab`
     */
    async findRepository(path: string, at: string): Promise<{ repositoryId: number; hookId: string } | Interruption> {
      const { client } = settingsOf(gitlab);
      const tracked = await findRepositoryByPath(db, path);
      if (tracked !== undefined) return withHook(tracked.id);
      const project = await orInterruption(() =>
        client.project(path).catch((error: unknown) => {
          if (error instanceof GitlabNotFound)
            throw notInGitlab(`there is no repository ${path} that our account sees`);
          throw error;
        }),
      );
      if (isInterruption(project)) return project;
      await upsertRepositories(db, [project], { groupId: null, at: new Date(at) });
      const added = await findRepositoryByPath(db, project.path);
      if (added === undefined) throw new Error(`the repository ${path} was not kept`);
      return withHook(added.id);
    },
  };

  async function withHook(repositoryId: number): Promise<{ repositoryId: number; hookId: string }> {
    const hook = await findHookOfRepository(db, repositoryId);
    if (hook === undefined) throw new Error(`the repository ${repositoryId} has no row for its hook`);
    return { repositoryId, hookId: hook.id };
  }
}
