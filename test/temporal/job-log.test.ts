import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { permanentFailure } from '../../activities/failures.ts';
import type { JobKind } from '../../src/domain/job-kinds.ts';
import { countActiveJobs, findJob, type JobEntry, listDeadJobs, listJobs } from '../../src/temporal/job-log.ts';
import type { RunningWorkers } from '../../src/temporal/worker.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { DONE, gate, type JobHandle, jobScript, untilEnded } from '../support/job-script.ts';
import { startJobWorkers } from '../support/job-workers.ts';

let environment: Environment;
let workers: RunningWorkers;
const script = jobScript();
beforeAll(async () => {
  environment = await startEnvironment({
    withoutWorkers: true,
    temporalConfig: ['limit.historyCount.suggestContinueAsNew=20'],
  });
  workers = await startJobWorkers(environment.config, {
    workflowBundle: inject('workflowBundle'),
    handle: script.handle,
    gitConcurrency: 50,
  });
});
afterAll(async () => {
  await workers.stop();
  await environment.stop();
});

const temporal = () => environment.forgeflow.temporal;
const handleOf = (jobId: string): JobHandle => temporal().workflow.getHandle(jobId);
const reindex = async (subject: number, key?: string): Promise<JobHandle> =>
  handleOf((await environment.forgeflow.enqueue('reindex_search', { repositoryId: subject }, key)).jobId);

/** The list lags a little. */
async function untilListed(ask: () => Promise<JobEntry[]>, isWanted: (jobs: JobEntry[]) => boolean) {
  return eventually(async () => {
    const jobs = await ask();
    if (!isWanted(jobs)) throw new Error(`listed: ${JSON.stringify(jobs)}`);
    return jobs;
  });
}

test('J3: of a job that died again and again the last death is listed, and nothing while it is active or done', async () => {
  let isMended = false;
  const { opened, open } = gate();
  const subject = script.subject(async ({ number }) => {
    if (!isMended) throw permanentFailure(`death ${number}`);
    await opened;
    return DONE;
  });
  const other = script.subject(() => {
    throw permanentFailure('for itself');
  });
  await expect((await reindex(other)).result()).rejects.toThrow();
  for (let death = 1; death <= 3; death += 1) await expect((await reindex(subject)).result()).rejects.toThrow();
  const dead = () => listDeadJobs(temporal(), 50);
  const errorsOf = (jobs: JobEntry[]) => jobs.map(({ error }) => error);
  const all = await untilListed(
    () => listJobs(temporal(), { state: 'dead', limit: 50 }),
    ({ length }) => length === 4,
  );
  expect(errorsOf(all)).toEqual(['death 3', 'death 2', 'death 1', 'for itself']);
  expect(errorsOf(await dead())).toEqual(['death 3', 'for itself']);
  expect(errorsOf(await listDeadJobs(temporal(), 1))).toEqual(['death 3']);

  isMended = true;
  const handle = await reindex(subject);
  expect(errorsOf(await dead())).toEqual(['for itself']);
  open();
  await handle.result();
  expect(errorsOf(await dead())).toEqual(['for itself']);
});

test('what is under way, done, cancelled or terminated is told apart, by kind and by state', async () => {
  const { opened, open } = gate();
  const subject = script.subject(() => opened.then(() => DONE));
  const [cancelled, terminated] = [await reindex(subject, 'cancelled'), await reindex(subject, 'terminated')];
  const running = await reindex(subject, 'running');
  await eventually(async () => {
    if (script.runs(subject).length < 3) throw new Error('not all have begun');
    if ((await countActiveJobs(temporal())) !== 3) throw new Error('not all are seen');
  });
  await cancelled.cancel();
  await terminated.terminate('it was in the way');
  const list = (filter: { kind?: JobKind; state?: JobEntry['state'] }) => () =>
    listJobs(temporal(), { ...filter, limit: 50 });
  expect(await list({ state: 'running', kind: 'reindex_search' })()).toContainEqual({
    jobId: running.workflowId,
    kind: 'reindex_search',
    payload: { repositoryId: subject },
    state: 'running',
    attempts: 1,
    error: null,
    startedAt: expect.any(Date) as Date,
    finishedAt: null,
  });
  open();
  await running.result();
  await untilEnded(cancelled);
  const statesOf = (jobs: JobEntry[]) =>
    Object.fromEntries(jobs.map(({ jobId, state, error }) => [jobId, [state, error]]));
  const jobs = await untilListed(list({ kind: 'reindex_search' }), (all) =>
    all.every(({ state }) => state !== 'running'),
  );
  expect(statesOf(jobs)).toMatchObject({
    [running.workflowId]: ['completed', null],
    // The run came to its end before it was told.
    [cancelled.workflowId]: [expect.stringMatching(/^(completed|cancelled)$/), null],
    [terminated.workflowId]: ['cancelled', 'it was in the way'],
  });
  expect(await list({ kind: 'sync_merge_requests' })()).toEqual([]);
  expect((await listJobs(temporal(), { limit: 2 })).length).toBe(2);
});

test('a job that was continued as new stands there once, with what it was asked for last', async () => {
  const last = script.subject(() => DONE);
  const subject = script.subject(async ({ number }) => {
    await environment.forgeflow.enqueue('reindex_search', { repositoryId: number < 6 ? subject : last }, 'continued');
    return DONE;
  });
  const handle = await reindex(subject, 'continued');
  await handle.result();
  expect((await temporal().workflow.count(`WorkflowId = '${handle.workflowId}'`)).count).toBeGreaterThan(1);
  const jobs = await untilListed(
    async () => (await listJobs(temporal(), { limit: 50 })).filter(({ jobId }) => jobId === handle.workflowId),
    ([first]) => first?.state === 'completed',
  );
  expect(jobs).toMatchObject([{ state: 'completed', payload: { repositoryId: last } }]);
});

test('find: the newest execution of a job; nothing of an id that no job has', async () => {
  const subject = script.subject(() => DONE);
  const handle = await reindex(subject);
  await handle.result();
  expect(await findJob(temporal(), handle.workflowId)).toMatchObject({ state: 'completed', attempts: 1 });
  expect(await findJob(temporal(), 'reindex_search/repo/404')).toBeUndefined();
  await temporal().workflow.start('mine_bitcoin', { workflowId: 'mine', taskQueue: 'forgeflow' });
  await untilEnded(handleOf('mine'));
  expect(await findJob(temporal(), 'mine')).toBeUndefined();
});
