import { join } from 'node:path';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { type Environment, startEnvironment } from './environment.ts';
import { createRepository, temporaryFolder, type TestRepository } from './git-repository.ts';
import { type GitServer, startGitServer } from './git-server.ts';
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts';

export const GITLAB_TOKEN = 'glpat-of-this-test-s3cret';
export const GITLAB_PROJECT = 7;

/** All of forgeflow but its workers, which are processes of their own, to be killed, and a tracked repository behind HTTP. */
export interface KillableWorkers extends Environment {
  server: GitServer;
  /** GitLab's own, of the project {@link GITLAB_PROJECT}, `acme/shop`; empty at first. */
  repository: TestRepository;
  /** Ours. */
  repositoryId: number;
  /** In the order in which they were started. */
  processes: WorkerProcess[];
  startWorker(): Promise<WorkerProcess>;
}

export async function startKillableWorkers(settings: Record<string, string> = {}): Promise<KillableWorkers> {
  const folder = await temporaryFolder();
  const repository = await createRepository(join(folder.path, 'server', 'acme', 'shop.git'));
  const server = await startGitServer({ root: join(folder.path, 'server') });
  server.require(GITLAB_TOKEN);
  const environment = await startEnvironment({
    withoutWorkers: true,
    settings: { GITLAB_URL: server.url, GITLAB_TOKEN, ...settings },
  });
  const { db } = environment.database;
  await upsertRepositories(db, [{ gitlabId: GITLAB_PROJECT, path: 'acme/shop' }], { groupId: null, at: new Date() });
  const repositoryId = (await findRepositoryByPath(db, 'acme/shop'))!.id;
  await trackRepository(db, repositoryId);
  const processes: WorkerProcess[] = [];
  return {
    ...environment,
    server,
    repository,
    repositoryId,
    processes,
    async startWorker() {
      const worker = await startWorkerProcess(environment.variables);
      processes.push(worker);
      return worker;
    },
    async stop() {
      for (const worker of processes) {
        worker.kill('SIGKILL');
        await worker.ended;
      }
      await environment.stop();
      await server.close();
      await folder.remove();
    },
  };
}
