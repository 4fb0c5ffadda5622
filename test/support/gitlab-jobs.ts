import { tmpdir } from 'node:os';
import { createGitlabAccess } from '../../activities/gitlab-access.ts';
import type { JobContext } from '../../activities/job-context.ts';
import { createMergeRequestSync } from '../../activities/merge-request-sync.ts';
import { createReviewDecision } from '../../activities/review-decision.ts';
import { loadConfig } from '../../src/config.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { createGitlabClient } from '../../src/gitlab/client.ts';
import { cloneDatabase } from './database.ts';
import { type Gitlab, type GitlabOptions, type Project, startGitlab } from './gitlab/index.ts';

/** A GitLab, a database that knows nothing of it yet, and the jobs that ask it, without Temporal. */
export interface GitlabJobs {
  gitlab: Gitlab;
  db: ForgeflowDatabase;
  decide(mergeRequestId: number, context?: Partial<JobContext>): ReturnType<Decision>;
  sync(repositoryId: number, context?: Partial<JobContext>): ReturnType<Sync>;
  /** Adds a project to GitLab, and tracks it. @returns also our own id of it */
  addTracked(path: string, options?: { requiredApprovals?: number | null }): Promise<{ project: Project; id: number }>;
  /** `kind/subject` of the jobs that were asked for since the last time, in that order. */
  requested(): Promise<string[]>;
  /** As a worker's: what GitLab has said of its rate limit is forgotten. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

type Decision = ReturnType<typeof createReviewDecision>['recompute_review_decision'];
type Sync = ReturnType<typeof createMergeRequestSync>['sync_merge_requests'];

/** @param variables besides GITLAB_URL and GITLAB_TOKEN, or instead of them */
export async function startGitlabJobs({
  variables: given,
  ...options
}: GitlabOptions & { variables?: Record<string, string | undefined> } = {}): Promise<GitlabJobs> {
  const [gitlab, database] = await Promise.all([startGitlab(options), cloneDatabase()]);
  const { db } = database;
  const variables = { GITLAB_URL: gitlab.url, GITLAB_TOKEN: gitlab.token, ...given };
  const config = loadConfig(variables, tmpdir());
  const start = () => {
    const access = createGitlabAccess(config, (where) => createGitlabClient({ ...where, timeoutMs: 2_000 }));
    return {
      access,
      ...createReviewDecision({ db, gitlab: access }),
      ...createMergeRequestSync({ db, gitlab: access }),
    };
  };
  let worker = start();
  const whole = ({ signal = new AbortController().signal }: Partial<JobContext> = {}): JobContext => ({
    signal,
    now: Date.now(),
  });
  return {
    gitlab,
    db,
    decide: (mergeRequestId, context) => worker.recompute_review_decision({ mergeRequestId }, whole(context)),
    sync: (repositoryId, context) => worker.sync_merge_requests({ repositoryId }, whole(context)),
    async addTracked(path, { requiredApprovals = null } = {}) {
      const project = gitlab.addProject({ path });
      await upsertRepositories(db, [{ gitlabId: project.id, path: project.path }], { groupId: null, at: new Date() });
      const { id } = await db
        .selectFrom('repositories')
        .select('id')
        .where('gitlab_id', '=', String(project.id))
        .executeTakeFirstOrThrow();
      await trackRepository(db, id, { requiredApprovals });
      return { project, id };
    },
    async requested() {
      const rows = await db.deleteFrom('job_requests').returning(['id', 'kind', 'payload']).execute();
      return rows
        .sort((a, b) => Number(a.id) - Number(b.id))
        .map(({ kind, payload }) => `${kind}/${Object.values(payload).join()}`);
    },
    async restart() {
      await worker.access.close();
      worker = start();
    },
    async stop() {
      await worker.access.close();
      await database.drop();
      await gitlab.close();
    },
  };
}
