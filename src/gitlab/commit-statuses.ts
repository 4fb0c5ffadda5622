import { Commits } from '@gitbeaker/rest';
import { z } from 'zod';
import { GITLAB_STATE } from '../domain/check-status.ts';
import type { PostedStatus } from '../domain/commit-statuses.ts';
import { stateOfGitlabStatus } from '../domain/status-mapping.ts';
import type { CommitStatus } from '../domain/status-rollup.ts';
import { GitlabBadAnswer, GitlabRejected } from './errors.ts';
import { nextPage, PER_PAGE } from './paging.ts';
import { type Connection, speakerFor } from './requester.ts';
import { checked, id } from './shapes.ts';

const statuses = z.array(
  z.object({ id, name: z.string().nullish(), status: z.string(), allow_failure: z.boolean().nullish() }),
);

/** 10,000 jobs and statuses of one commit. */
const MOST_PAGES = 100;

/**
 * The jobs of a commit's pipelines and what other services have reported of it; of each pipeline's jobs of one name the
 * last. Ids of GitLab's grow over all projects, so that those of a fork can be told to be earlier or later.
 * @throws GitlabNotFound where the project does not have the commit
 * @throws GitlabForbidden where its pipelines are hidden from us
 */
export async function readCommitStatuses(
  connection: Connection,
  { gitlabProjectId, sha }: { gitlabProjectId: number; sha: string },
  signal?: AbortSignal,
): Promise<CommitStatus[]> {
  const found = new Map<number, CommitStatus>();
  for (let page: number | null = 1; page !== null;) {
    if (page > MOST_PAGES) throw new GitlabBadAnswer(`GitLab's list of statuses has no end: ${found.size} so far`);
    const { options, headers } = speakerFor(connection, { signal });
    const paging: object = { page, perPage: PER_PAGE };
    const answer = await new Commits(options).allStatuses(gitlabProjectId, sha, paging);
    for (const { id, name, status, allow_failure } of checked(statuses, answer, 'a list of statuses')) {
      const state = stateOfGitlabStatus({ status, allowFailure: allow_failure ?? false });
      found.set(id, { context: name ?? 'default', state, order: id });
    }
    page = nextPage(headers(), page);
  }
  return [...found.values()];
}

/** GitLab's way to say that a status of that name is there, and in that state already. */
const IN_THAT_STATE = /cannot transition status via/i;

/**
 * Sets a status of a commit, instead of what it was told before under that name.
 * @throws GitlabNotFound where the project does not have the commit, or has it in no branch
 * @throws GitlabForbidden where the token's account is no Developer of it
 */
export async function postCommitStatus(
  connection: Connection,
  { gitlabProjectId, sha }: { gitlabProjectId: number; sha: string },
  { name, state, description }: PostedStatus,
  signal?: AbortSignal,
): Promise<void> {
  const { options } = speakerFor(connection, { signal });
  try {
    await new Commits(options).editStatus(gitlabProjectId, sha, GITLAB_STATE[state], { name, description });
  } catch (error) {
    if (!(error instanceof GitlabRejected) || !IN_THAT_STATE.test(error.message)) throw error;
  }
}
