import { tmpdir } from 'node:os';
import { createCommitAuthors } from '../../activities/commit-authors.ts';
import { createGitlabAccess } from '../../activities/gitlab-access.ts';
import type { JobContext } from '../../activities/job-context.ts';
import { createOrganizationRepositories } from '../../activities/organization-repositories.ts';
import { createPermissions } from '../../activities/permissions.ts';
import { loadConfig } from '../../src/config.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { upsertUsers } from '../../src/database/users.ts';
import { createGitlabClient } from '../../src/gitlab/client.ts';
import { cloneDatabase } from './database.ts';
import { type Gitlab, type Project, startGitlab, type User } from './gitlab/index.ts';

/** A GitLab, a database, and the jobs about people and listings as a worker does them, without Temporal. */
export interface PeopleWorld {
  gitlab: Gitlab;
  db: ForgeflowDatabase;
  jobs: ReturnType<typeof createCommitAuthors> &
    ReturnType<typeof createOrganizationRepositories> &
    ReturnType<typeof createPermissions>;
  /** Of an attempt; nothing aborts it. @param now by Temporal's clock */
  context(now?: number): JobContext;
  /** Adds a project to GitLab, and tracks it. @returns also our own id of it */
  addTracked(project: Project | string): Promise<{ project: Project; id: number }>;
  /** As an event makes a user known. @returns our own id */
  meet(user: User): Promise<number>;
  /** `kind/subject` of the jobs that were asked for since the last time, in that order. */
  requested(): Promise<string[]>;
  /** As another worker: what GitLab has said of its rate limit is forgotten. @param token that it has */
  restart(token?: string): Promise<void>;
  stop(): Promise<void>;
}

export async function startPeopleWorld(): Promise<PeopleWorld> {
  const [gitlab, database] = await Promise.all([startGitlab(), cloneDatabase()]);
  const { db } = database;
  const start = (token: string) => {
    const config = loadConfig({ GITLAB_URL: gitlab.url, GITLAB_TOKEN: token }, tmpdir());
    const access = createGitlabAccess(config, (where) => createGitlabClient({ ...where, timeoutMs: 2_000 }));
    const dependencies = { db, gitlab: access };
    return {
      access,
      jobs: {
        ...createCommitAuthors(dependencies),
        ...createOrganizationRepositories(dependencies),
        ...createPermissions(dependencies),
      },
    };
  };
  let worker = start(gitlab.token);
  return {
    gitlab,
    db,
    get jobs() {
      return worker.jobs;
    },
    context: (now = Date.now()) => ({ signal: new AbortController().signal, now }),
    async addTracked(given) {
      const project = typeof given === 'string' ? gitlab.addProject({ path: given }) : given;
      await upsertRepositories(db, [{ gitlabId: project.id, path: project.path }], { groupId: null, at: new Date() });
      const { id } = await db
        .selectFrom('repositories')
        .select('id')
        .where('gitlab_id', '=', String(project.id))
        .executeTakeFirstOrThrow();
      await trackRepository(db, id);
      return { project, id };
    },
    async meet({ id: gitlabId, username, name }) {
      const [kept] = await upsertUsers(db, [{ gitlabId, username, name }]);
      return kept!.id;
    },
    async requested() {
      const rows = await db.deleteFrom('job_requests').returning(['id', 'kind', 'payload']).execute();
      return rows
        .sort((a, b) => Number(a.id) - Number(b.id))
        .map(({ kind, payload }) => `${kind}/${Object.values(payload).join()}`);
    },
    async restart(token = gitlab.token) {
      await worker.access.close();
      worker = start(token);
    },
    async stop() {
      await worker.access.close();
      await database.drop();
      await gitlab.close();
    },
  };
}
