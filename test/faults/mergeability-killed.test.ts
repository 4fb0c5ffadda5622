import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findMergeRequest, upsertMergeRequest } from '../../src/database/merge-requests.ts';
import { findRepositoryByPath, upsertRepositories } from '../../src/database/repositories.ts';
import { findTracked, trackRepository } from '../../src/database/tracked-repositories.ts';
import type { JobDone } from '../../activities/job-context.ts';
import { mergeRequestIn } from '../database/merge-request-rows.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { fill } from '../support/git-project.ts';
import { createRepository, temporaryFolder } from '../support/git-repository.ts';
import { type GitServer, startGitServer } from '../support/git-server.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';

const TOKEN = 'glpat-of-this-test-s3cret';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let server: GitServer;
let environment: Environment;
let repositoryId: number;
let mergeRequestId: number;
const workers: WorkerProcess[] = [];

beforeAll(async () => {
  folder = await temporaryFolder();
  const repository = await createRepository(join(folder.path, 'server', 'acme', 'shop.git'));
  await fill(repository);
  server = await startGitServer({ root: join(folder.path, 'server') });
  server.require(TOKEN);
  environment = await startEnvironment({
    withoutWorkers: true,
    settings: { GITLAB_URL: server.url, GITLAB_TOKEN: TOKEN },
  });
  const { db } = environment.database;
  await upsertRepositories(db, [{ gitlabId: 7, path: 'acme/shop' }], { groupId: null, at: new Date() });
  repositoryId = (await findRepositoryByPath(db, 'acme/shop'))!.id;
  await trackRepository(db, repositoryId);
  mergeRequestId = (await upsertMergeRequest(db, mergeRequestIn(7, { sourceBranch: 'topic/one' })))!.id;
});
afterAll(async () => {
  for (const worker of workers) {
    worker.kill('SIGKILL');
    await worker.ended;
  }
  await environment.stop();
  await server.close();
  await folder.remove();
});

const leftOnDisk = async () =>
  (await readdir(join(environment.config.storageDirectory, 'repositories')).catch(() => [])).toSorted();

test('J4: a worker is killed in the middle of a clone: another one does the job, and nothing is left of the first', async () => {
  const { forgeflow, variables, database } = environment;
  workers.push(await startWorkerProcess(variables));
  server.decide(({ method }) => (method === 'POST' ? { afterBytes: 100_000, then: 'stall' } : null));
  const { jobId } = await forgeflow.enqueue('recompute_mergeability', { mergeRequestId });
  await eventually(async () => {
    expect((await leftOnDisk()).some((name) => name.includes('.partial-'))).toBe(true);
    expect(server.requests.some(({ method }) => method === 'POST')).toBe(true);
  });
  workers.push(await startWorkerProcess(variables)); // it got nothing of what was under way
  server.decide(() => null);
  const killedAt = Date.now();
  workers[0]!.kill('SIGKILL');
  const outcome = (await forgeflow.temporal.workflow.getHandle(jobId).result()) as JobDone;
  console.log(JSON.stringify({ resumedAfterMs: Date.now() - killedAt }));
  expect(Date.now() - killedAt).toBeLessThan(60_000); // 23 s on a machine that has nothing else to do
  expect(outcome).toMatchObject({ summary: 'acme/shop!1 is dirty, 1 ahead and 1 behind', attempts: 2 });
  expect((await findMergeRequest(database.db, mergeRequestId))!.mergeability).toMatchObject({
    state: 'dirty',
    behind: 1,
  });
  expect((await findTracked(database.db, repositoryId))!.cloneBytes).toBeGreaterThan(100_000);

  expect(await leftOnDisk()).toEqual([`${repositoryId}.git`, `${repositoryId}.lock`]);
  await eventually(async () => {
    const { stdout } = await execa('ps', ['-ww', '-eo', 'pid=,command=']);
    expect(stdout.split('\n').filter((line) => line.includes(server.url))).toEqual([]);
  });
  const logs = workers.map((worker) => worker.log()).join('\n');
  expect(logs).toContain('worker started');
  expect(logs).not.toContain(TOKEN);
}, 150_000);
