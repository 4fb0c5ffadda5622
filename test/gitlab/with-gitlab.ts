import { afterEach, beforeEach } from 'vitest';
import { createGitlabClient, type GitlabClient } from '../../src/gitlab/client.ts';
import type { GitlabOwner } from '../../src/gitlab/shapes.ts';
import { type Gitlab, type Owner, startGitlab } from '../support/gitlab/index.ts';

export interface WithGitlab {
  gitlab: Gitlab;
  /** With the bot's token. */
  client: GitlabClient;
}

/** A GitLab for each test of the file, with group hooks, and a client for it. */
export function withGitlab(): WithGitlab {
  const now = {} as WithGitlab;
  beforeEach(async () => {
    now.gitlab = await startGitlab({ settings: { premium: true } });
    now.client = clientWith(now.gitlab, now.gitlab.token);
  });
  afterEach(async () => {
    await now.client.close();
    await now.gitlab.close();
  });
  return now;
}

export const clientWith = ({ url }: Gitlab, token: string): GitlabClient =>
  createGitlabClient({ url, token, timeoutMs: 2_000 });

export const at = ({ kind, id }: Owner): GitlabOwner => ({ kind, gitlabId: id });
