import { type Config, ConfigError, required } from '../src/config.ts';
import type { HookEvent } from '../src/domain/hook-events.ts';
import { hookUrl } from '../src/domain/hook-url.ts';
import type { Interruption } from '../src/domain/install-run.ts';
import { GitlabError, GitlabInvalidCredentials, GitlabRateLimited } from '../src/gitlab/errors.ts';
import type { GitlabClient } from '../src/gitlab/client.ts';
import { gitlabFault, settingMissing } from './failures.ts';

/** What it takes to ask GitLab anything. */
export interface GitlabApi {
  client: GitlabClient;
  /** So many requests of GitLab's rate limit are left to others. */
  reserve: number;
}

/** What the settings say of GitLab, its webhooks included. */
export interface GitlabSettings extends GitlabApi {
  hookUrl: string;
  /** Path or id of the group whose projects are ours; undefined for all that the token's account is a Maintainer of. */
  group: string | undefined;
  events: readonly HookEvent[];
  /** How long an installed hook is taken to be as it should. */
  verifyMs: number;
  /** Repositories that are worked on at once. */
  concurrency: number;
}

/** GitLab, for a worker that may lack the settings for it, and serves everything else then. */
export interface GitlabAccess {
  /** @throws ConfigError that names the setting */
  api(): GitlabApi;
  /** @throws ConfigError as above; it is missing too where nothing says how GitLab reaches our ingress */
  settings(): GitlabSettings;
  close(): Promise<void>;
}

/** @param createClient called once, when it is first needed */
export function createGitlabAccess(
  config: Config,
  createClient: (settings: { url: string; token: string }) => GitlabClient,
): GitlabAccess {
  let client: GitlabClient | undefined;
  return { api, settings, close: async () => client?.close() };

  function api(): GitlabApi {
    const url = required('GITLAB_URL', config.gitlabUrl, 'it is not set, so there is no GitLab to work with');
    const token = required(
      'GITLAB_TOKEN',
      config.gitlabToken,
      'it is not set; GitLab needs a token with the scope api',
    );
    client ??= createClient({ url, token });
    return { client, reserve: config.gitlabRateLimitReserve };
  }

  function settings(): GitlabSettings {
    const asked = api();
    const ingress = required('INGRESS_URL', config.ingressUrl, 'it is not set; it is where GitLab sends its webhooks');
    return {
      ...asked,
      hookUrl: hookUrl(ingress),
      group: config.gitlabGroup,
      events: config.gitlabHookEvents,
      verifyMs: config.gitlabVerifyMs,
      concurrency: config.gitlabConcurrency,
    };
  }
}

/** @throws ApplicationFailure that names the setting */
export function apiOf(gitlab: GitlabAccess): GitlabApi {
  return orMissing(() => gitlab.api());
}

/** @throws ApplicationFailure that names the setting */
export function settingsOf(gitlab: GitlabAccess): GitlabSettings {
  return orMissing(() => gitlab.settings());
}

function orMissing<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ConfigError ? settingMissing(error) : error;
  }
}

/** @returns what ends the run, where GitLab's answer does; else undefined */
export function interruptionOf(error: unknown): Interruption | undefined {
  if (error instanceof GitlabRateLimited && error.scope === 'api')
    return { endedEarly: 'rate_limited', retryAt: error.retryAt?.toISOString() ?? null };
  if (error instanceof GitlabInvalidCredentials) return { endedEarly: 'invalid_credentials', retryAt: null };
  return undefined;
}

/**
 * Whether so few requests are left that the run had better end, before GitLab has to refuse.
 * A reserve of more than half of the limit would leave the installer nothing, so it is taken for half of it.
 */
export function reserveReached({ client, reserve }: GitlabApi, now: number): Interruption | undefined {
  const limit = client.rateLimit();
  if (limit === null || limit.resetAt.getTime() <= now) return undefined;
  if (limit.remaining >= Math.min(reserve, Math.floor(limit.limit / 2))) return undefined;
  return { endedEarly: 'rate_limited', retryAt: limit.resetAt.toISOString() };
}

/** For calls that concern all repositories: what ends the run is their result, other answers of GitLab's are failures. */
export async function orInterruption<T>(call: () => Promise<T>): Promise<T | Interruption> {
  try {
    return await call();
  } catch (error) {
    const interruption = interruptionOf(error);
    if (interruption !== undefined) return interruption;
    throw error instanceof GitlabError ? gitlabFault(error) : error;
  }
}

export function isInterruption(value: object): value is Interruption {
  return 'endedEarly' in value;
}
