import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findMergeRequest, upsertMergeRequest } from '../../src/database/merge-requests.ts';
import { findTracked } from '../../src/database/tracked-repositories.ts';
import type { JobDone } from '../../activities/job-context.ts';
import { mergeRequestIn } from '../database/merge-request-rows.ts';
import { eventually } from '../support/eventually.ts';
import { fill } from '../support/git-project.ts';
import {
  GITLAB_PROJECT,
  GITLAB_TOKEN,
  type KillableWorkers,
  startKillableWorkers,
} from '../support/killable-workers.ts';

let world: KillableWorkers;
let mergeRequestId: number;

beforeAll(async () => {
  world = await startKillableWorkers();
  await fill(world.repository);
  mergeRequestId = (await upsertMergeRequest(
    world.database.db,
    mergeRequestIn(GITLAB_PROJECT, { sourceBranch: 'topic/one' }),
  ))!.id;
});
afterAll(() => world.stop());

const leftOnDisk = async () =>
  (await readdir(join(world.config.storageDirectory, 'repositories')).catch(() => [])).toSorted();

test('J4: a worker is killed in the middle of a clone: another one does the job, and nothing is left of the first', async () => {
  const { forgeflow, database, server, repositoryId } = world;
  await world.startWorker();
  server.decide(({ method }) => (method === 'POST' ? { afterBytes: 100_000, then: 'stall' } : null));
  const { jobId } = await forgeflow.enqueue('recompute_mergeability', { mergeRequestId });
  await eventually(async () => {
    expect((await leftOnDisk()).some((name) => name.includes('.partial-'))).toBe(true);
    expect(server.requests.some(({ method }) => method === 'POST')).toBe(true);
  });
  await world.startWorker(); // it got nothing of what was under way
  server.decide(() => null);
  const killedAt = Date.now();
  world.processes[0]!.kill('SIGKILL');
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
  const logs = world.processes.map((worker) => worker.log()).join('\n');
  expect(logs).toContain('worker started');
  expect(logs).not.toContain(GITLAB_TOKEN);
}, 150_000);
