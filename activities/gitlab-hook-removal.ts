import { ConfigError } from '../src/config.ts';
import type { HookRecord } from '../src/database/gitlab-hooks.ts';
import { planRemoval } from '../src/domain/hook-plan.ts';
import type { GitlabClient } from '../src/gitlab/client.ts';
import { GitlabForbidden, GitlabInvalidCredentials, GitlabNotFound } from '../src/gitlab/errors.ts';
import { permanentFailure } from './failures.ts';
import type { GitlabAccess } from './gitlab-access.ts';
import { askingGitlab } from './gitlab-jobs.ts';
import type { JobPostponed } from './job-context.ts';

/**
 * Takes our webhook off a project. GitLab is not asked where none was ever made, or its group's has taken its place; a
 * project that is gone, or that our account does not see any more, has none.
 * @returns until when GitLab's rate limit stands in the way, where it does
 * @throws ApplicationFailure, permanent, where GitLab does not let us: without its row nobody would know of the webhook
 * @throws GitlabError where GitLab is away
 */
export async function removeHookOf(
  gitlab: GitlabAccess,
  { owner, stored }: HookRecord,
  signal: AbortSignal,
): Promise<JobPostponed | undefined> {
  if (stored.secretId === null && stored.gitlabHookId === null) return undefined;
  const url = hookUrlOf(gitlab);
  const outcome = await askingGitlab(gitlab, async (client) => {
    try {
      for (const id of planRemoval({ url }, stored, await hooksOf(client, owner, signal)))
        await client.deleteHook(owner, id, signal);
    } catch (error) {
      throw refusalOf(error, owner.path) ?? error;
    }
    return { summary: 'its webhook is gone' };
  });
  return 'postponedUntil' in outcome ? (outcome as JobPostponed) : undefined;
}

async function hooksOf(client: GitlabClient, owner: HookRecord['owner'], signal: AbortSignal) {
  try {
    return await client.listHooks(owner, signal);
  } catch (error) {
    if (error instanceof GitlabNotFound) return [];
    throw error;
  }
}

/** Empty without INGRESS_URL: the webhook is known by its id and its marker all the same. */
function hookUrlOf(gitlab: GitlabAccess): string {
  try {
    return gitlab.settings().hookUrl;
  } catch (error) {
    if (error instanceof ConfigError) return '';
    throw error;
  }
}

function refusalOf(error: unknown, path: string): Error | undefined {
  if (error instanceof GitlabInvalidCredentials)
    return permanentFailure(
      `GITLAB_TOKEN: GitLab does not accept it, so the webhook of ${path} is still there; set a new one and remove the repository again`,
    );
  if (error instanceof GitlabForbidden)
    return permanentFailure(
      `GitLab does not let our account take the webhook off ${path}; make it a Maintainer there and remove the repository again`,
    );
  return undefined;
}
