import { randomUUID } from 'node:crypto';
import { DefaultLogger } from '@temporalio/worker';
import { sql } from 'kysely';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import { freePort } from '../../src/free-port.ts';
import { createIngress } from '../../src/ingress/app.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import type { Sealer } from '../../src/secrets/sealer.ts';
import { cloneDatabase } from './database.ts';
import { type Gitlab, type GitlabOptions, type Project, startGitlab } from './gitlab/index.ts';
import { testSealer } from './records.ts';

/** A GitLab, what we know of it, and the ingress that its hooks are to reach. */
export interface HookWorld {
  gitlab: Gitlab;
  db: ForgeflowDatabase;
  sealer: Sealer;
  ingressUrl: string;
}

/** The ingress that hooks post to, on a port that was chosen before. */
export async function listenAsIngress(db: ForgeflowDatabase, port: number): Promise<{ stop(): Promise<void> }> {
  const metrics = createMetrics({ db });
  const app = createIngress({ db, token: randomUUID(), logger: new DefaultLogger('ERROR'), metrics });
  await app.listen({ host: '127.0.0.1', port });
  return { stop: () => app.close() };
}

/** Without Temporal and workers. */
export async function startHookWorld(options?: GitlabOptions): Promise<HookWorld & { stop(): Promise<void> }> {
  const [gitlab, database, port] = await Promise.all([startGitlab(options), cloneDatabase(), freePort()]);
  const ingress = await listenAsIngress(database.db, port);
  return {
    gitlab,
    db: database.db,
    sealer: testSealer,
    ingressUrl: `http://127.0.0.1:${port}`,
    async stop() {
      await ingress.stop();
      await database.drop();
      await gitlab.close();
    },
  };
}

let generation = 0;
const projectsOf = new WeakMap<Gitlab, Project[]>();

/** Forgets all that is known, takes the projects of before out of GitLab, and puts so many new ones into it. */
export async function renew({ gitlab, db }: Pick<HookWorld, 'gitlab' | 'db'>, count: number): Promise<Project[]> {
  await sql`truncate gitlab_hooks, repositories, gitlab_groups, gitlab_listings, gitlab_runs cascade`.execute(db);
  for (const project of projectsOf.get(gitlab) ?? []) gitlab.deleteProject(project);
  gitlab.faults.clear();
  gitlab.rateLimit.allow();
  gitlab.forgetRequests();
  const projects = gitlab.addProjects(count, gitlab.root, `generation-${++generation}`);
  projectsOf.set(gitlab, projects);
  return projects;
}

/** Makes everything due, as if the time for it had come. */
export async function makeDue(db: ForgeflowDatabase): Promise<void> {
  await sql`update gitlab_hooks set due_at = now()`.execute(db);
}
