import { join } from 'node:path';
import { createJobClones, type JobClones } from '../../activities/job-clones.ts';
import type { JobDone } from '../../activities/job-context.ts';
import { createMergeability } from '../../activities/mergeability.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import type { MergeRequestRecord } from '../../src/database/merge-request-records.ts';
import { findMergeRequestByIid, upsertMergeRequest } from '../../src/database/merge-requests.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { trackRepository } from '../../src/database/tracked-repositories.ts';
import { cloneDatabase, type TestDatabase } from './database.ts';
import { createRepository, temporaryFolder, type TestRepository } from './git-repository.ts';
import { type Gitlab, type MergeRequest, type NewMergeRequest, type Project, startGitlab } from './gitlab/index.ts';

/** A repository that GitLab serves and we track. */
export interface ServedRepository {
  project: Project;
  /** Where GitLab has it on disk. */
  repository: TestRepository;
  /** Our id; of a fork that nobody tracks there is none. */
  id: number;
}

/** GitLab with repositories, a database, and a place for clones; without Temporal, workers and events. */
export interface MergeWorld {
  gitlab: Gitlab;
  database: TestDatabase;
  db: ForgeflowDatabase;
  config: Config;
  /** Where the clones lie. */
  storage: string;
  clones: JobClones;
  addRepository(path: string, options?: { forkedFrom?: Project; isTracked?: boolean }): Promise<ServedRepository>;
  /** Opens one in GitLab, and keeps it as its event would have it. @returns our id with it */
  open(project: Project, mergeRequest: NewMergeRequest): Promise<MergeRequest & { ourId: number }>;
  /** Keeps what GitLab has of it now. */
  keep(mergeRequest: MergeRequest): Promise<number>;
  /** Runs the job as a worker does. */
  compute(mergeRequestId: number, clones?: JobClones): Promise<JobDone>;
  known(mergeRequest: MergeRequest): Promise<MergeRequestRecord>;
  stop(): Promise<void>;
}

export async function startMergeWorld(settings: Record<string, string> = {}): Promise<MergeWorld> {
  const [folder, gitlab, database] = await Promise.all([temporaryFolder(), startGitlab(), cloneDatabase()]);
  const { db } = database;
  const storage = join(folder.path, 'storage');
  const config = configOf({ gitlab, storage, databaseUrl: database.url }, settings);
  const world: MergeWorld = {
    gitlab,
    database,
    db,
    config,
    storage,
    clones: createJobClones(config, db),
    async addRepository(path, { forkedFrom, isTracked = true } = {}) {
      const repository = await createRepository(join(folder.path, 'server', `${path}.git`));
      const project = gitlab.addProject({ path, git: repository.directory, ...(forkedFrom && { forkedFrom }) });
      await upsertRepositories(db, [{ gitlabId: project.id, path: project.path }], { groupId: null, at: new Date() });
      const { id } = (await findRepositoryByPath(db, project.path))!;
      if (isTracked) await trackRepository(db, id);
      return { project, repository, id };
    },
    async open(project, given) {
      const mergeRequest = await gitlab.openMergeRequest(project, given);
      return Object.assign(mergeRequest, { ourId: await world.keep(mergeRequest) });
    },
    async keep(mergeRequest) {
      const kept = await upsertMergeRequest(db, {
        gitlabId: mergeRequest.id,
        iid: mergeRequest.iid,
        gitlabProjectId: mergeRequest.project.id,
        title: mergeRequest.title,
        sourceBranch: mergeRequest.sourceBranch,
        targetBranch: mergeRequest.targetBranch,
        sourceGitlabProjectId: mergeRequest.source?.id ?? null,
        headSha: mergeRequest.headSha,
        isDraft: mergeRequest.title.startsWith('Draft: '),
        state: mergeRequest.state,
        reviewers: [],
        updatedAt: null,
      });
      return kept!.id;
    },
    async compute(mergeRequestId, clones = world.clones) {
      const { signal } = new AbortController();
      return createMergeability({ db, clones }).recompute_mergeability({ mergeRequestId }, { signal, now: Date.now() });
    },
    async known({ project, iid }) {
      return (await findMergeRequestByIid(db, { gitlabProjectId: project.id, iid }))!;
    },
    async stop() {
      await database.drop();
      await gitlab.close();
      await folder.remove();
    },
  };
  return world;
}

/** The settings of a worker that clones from this GitLab. */
export function configOf(
  { gitlab, storage, databaseUrl }: { gitlab: Gitlab; storage: string; databaseUrl: string },
  settings: Record<string, string> = {},
): Config {
  return loadConfig(
    {
      PATH: process.env['PATH'],
      DATABASE_URL: databaseUrl,
      GITLAB_URL: gitlab.url,
      GITLAB_TOKEN: gitlab.token,
      DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8',
      STORAGE_DIR: storage,
      ...settings,
    },
    storage,
  );
}
