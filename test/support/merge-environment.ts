import { join } from 'node:path';
import { sql } from 'kysely';
import { expect } from 'vitest';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { freePort } from '../../src/free-port.ts';
import { eventually } from './eventually.ts';
import { type Environment, type EnvironmentOptions, startEnvironment } from './environment.ts';
import { createRepository, temporaryFolder, type TestRepository } from './git-repository.ts';
import { MAIN } from './git-project.ts';
import { listenAsIngress } from './gitlab-hook-world.ts';
import { type Gitlab, type Project, startGitlab } from './gitlab/index.ts';

/** All of forgeflow, the ingress too, and a GitLab that serves repositories. */
export interface MergeEnvironment extends Environment {
  gitlab: Gitlab;
  /** A project with a repository, in which `main` has a first commit. */
  serve(path: string): Promise<{ project: Project; repository: TestRepository }>;
}

export async function startMergeEnvironment({
  settings,
  ...options
}: EnvironmentOptions = {}): Promise<MergeEnvironment> {
  const [folder, gitlab, port] = await Promise.all([temporaryFolder(), startGitlab(), freePort()]);
  const environment = await startEnvironment({
    // Whoever waits for a job waits for several looks of the relay.
    intervals: { poll: 100 },
    ...options,
    settings: {
      GITLAB_URL: gitlab.url,
      GITLAB_TOKEN: gitlab.token,
      INGRESS_URL: `http://127.0.0.1:${port}`,
      ...settings,
    },
  });
  const ingress = await listenAsIngress(environment.database.db, port);
  return {
    ...environment,
    gitlab,
    async serve(path) {
      const repository = await createRepository(join(folder.path, `${path}.git`));
      await repository.git('config', 'http.receivepack', 'true');
      await repository.commit({ ref: MAIN, tree: { 'README.md': 'A first commit.\n', 'a.txt': 'a\n' } });
      return { project: gitlab.addProject({ path, git: repository.directory }), repository };
    },
    async stop() {
      await environment.stop();
      await ingress.stop();
      await gitlab.close();
      await folder.remove();
    },
  };
}

/** Waits until every event has been read, and every job that came of it is over. */
export async function untilQuiet({ database: { db }, forgeflow }: Environment): Promise<void> {
  await eventually(async () => {
    expect(await waiting(db)).toBe(0);
    for (const jobId of await jobsOf(db)) {
      const { status } = await forgeflow.temporal.workflow
        .getHandle(jobId)
        .describe()
        .catch(() => ({ status: { name: 'NONE' } }));
      expect(status.name, jobId).not.toBe('RUNNING');
    }
    expect(await waiting(db)).toBe(0); // nor has one of them asked for another
  }, 60_000);
}

async function waiting(db: ForgeflowDatabase): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select (select count(*) from events where dispatched_at is null)::int
      + (select count(*) from job_events)::int + (select count(*) from job_requests)::int as n
  `.execute(db);
  return rows[0]!.n;
}

async function jobsOf(db: ForgeflowDatabase): Promise<string[]> {
  const mergeRequests = await db.selectFrom('merge_requests').select('id').execute();
  const repositories = await db.selectFrom('repositories').select('id').where('tracked_at', 'is not', null).execute();
  const commits = await db.selectFrom('commits').select('id').execute();
  return [
    ...repositories.flatMap(({ id }) => [
      `sync_merge_requests/repo/${id}`,
      `reindex_search/repo/${id}`,
      `initializeRepository/repo/${id}`,
    ]),
    ...commits.map(({ id }) => `processCommit/commit/${id}`),
    ...mergeRequests.flatMap(({ id }) => [`recompute_mergeability/mr/${id}`, `recompute_review_decision/mr/${id}`]),
  ];
}
