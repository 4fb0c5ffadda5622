import { join } from 'node:path';
import { freePort } from '../../src/free-port.ts';
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
