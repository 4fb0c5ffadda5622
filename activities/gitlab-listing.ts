import type { ForgeflowDatabase } from '../src/database/connection.ts';
import { upsertGroup } from '../src/database/gitlab-groups.ts';
import { beginOrResumeListing, completeListing, advanceListing } from '../src/database/gitlab-listings.ts';
import { findHookOfGroup, findHookOfRepository } from '../src/database/gitlab-hooks.ts';
import { findRepositoryByPath, releaseUnseen, upsertRepositories } from '../src/database/repositories.ts';
import type { Interruption } from '../src/domain/install-run.ts';
import type { GitlabClient } from '../src/gitlab/client.ts';
import { GitlabNotFound } from '../src/gitlab/errors.ts';
import { notInGitlab } from './failures.ts';
import {
  apiOf,
  type GitlabAccess,
  isInterruption,
  orInterruption,
  reserveReached,
  settingsOf,
} from './gitlab-access.ts';

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

/** Our ids of it, and of its hook. */
export interface FoundRepository {
  repositoryId: number;
  hookId: string;
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
     * One repository, by its path; one that was not listed yet is looked up in GitLab.
     * @throws ApplicationFailure `SettingMissing`, `NotInGitLab`, `GitLabFault`
     */
    async findRepository(path: string, at: string): Promise<FoundRepository | Interruption> {
      const { client } = settingsOf(gitlab);
      const listed = await findRepositoryByPath(db, path);
      return listed === undefined ? lookUp(client, path, at) : withHook(listed.id);
    },

    /**
     * One repository, by its path, as GitLab has it now: since it was listed it may have been deleted, or have given its path
     * to another one. It takes no settings but those of the API.
     * @throws ApplicationFailure as above
     */
    async lookUpRepository(path: string, at: string): Promise<FoundRepository | Interruption> {
      return lookUp(apiOf(gitlab).client, path, at);
    },
  };

  async function lookUp(client: GitlabClient, path: string, at: string): Promise<FoundRepository | Interruption> {
    const project = await orInterruption(() =>
      client.project(path).catch((error: unknown) => {
        if (error instanceof GitlabNotFound) throw notInGitlab(`there is no repository ${path} that our account sees`);
        throw error;
      }),
    );
    if (isInterruption(project)) return project;
    await upsertRepositories(db, [project], { groupId: null, at: new Date(at) });
    const kept = await findRepositoryByPath(db, project.path);
    if (kept === undefined) throw new Error(`the repository ${path} was not kept`);
    return withHook(kept.id);
  }

  async function withHook(repositoryId: number): Promise<FoundRepository> {
    const hook = await findHookOfRepository(db, repositoryId);
    if (hook === undefined) throw new Error(`the repository ${repositoryId} has no row for its hook`);
    return { repositoryId, hookId: hook.id };
  }
}
