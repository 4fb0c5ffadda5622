import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { permanentFailure } from '../../activities/failures.ts';
import type { EnqueuedJob, JobStatus, KindStatus } from '../../src/client/jobs.ts';
import { JOB_KINDS } from '../../src/domain/job-kinds.ts';
import type { RunningWorkers } from '../../src/temporal/worker.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { DONE, gate, jobScript } from '../support/job-script.ts';
import { startJobWorkers } from '../support/job-workers.ts';
import { forgeflow, forgeflowJson } from './forgeflow.ts';

let environment: Environment;
let workers: RunningWorkers;
let env: Record<string, string>;
const script = jobScript();
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true });
  env = environment.variables;
  workers = await startJobWorkers(environment.config, {
    workflowBundle: inject('workflowBundle'),
    handle: script.handle,
  });
});
afterAll(async () => {
  await workers.stop();
  await environment.stop();
});

const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
const resultOf = (jobId: string) =>
  environment.forgeflow.temporal.workflow.getHandle(jobId).result() as Promise<unknown>;
const payloadOf = (repositoryId: number) => JSON.stringify({ repositoryId });

test('J1 J3: a job from its submission to its death, and back', async () => {
  let isMended = false;
  const subject = script.subject(() => {
    if (!isMended) throw permanentFailure('GitLab has no such repository');
    return { summary: 'done' };
  });
  const jobId = `reindex_search/repo/${subject}`;
  const enqueue = ['jobs', 'enqueue', 'reindex_search', '--payload', payloadOf(subject)];
  expect(await forgeflowJson<EnqueuedJob>(enqueue, env)).toEqual({ jobId, kind: 'reindex_search', deduped: false });
  await expect(resultOf(jobId)).rejects.toThrow();
  const dead: JobStatus = {
    jobId,
    kind: 'reindex_search',
    payload: { repositoryId: subject },
    state: 'dead',
    attempts: 1,
    error: 'GitLab has no such repository',
    startedAt: ISO,
    finishedAt: ISO,
  };
  await expect.poll(() => environment.forgeflow.jobs.dead()).toEqual([dead]);
  expect(await forgeflowJson<JobStatus[]>(['jobs', 'dead'], env)).toEqual([dead]);

  const { stdout } = await forgeflow(['jobs', 'dead'], env);
  const [head = '', row = ''] = stdout.split('\n');
  expect(head).toMatch(/^JOB +STATE +ATTEMPTS +STARTED +FINISHED +ERROR$/);
  expect(row.slice(head.indexOf('STATE'))).toMatch(
    /^dead +1 +\d{4}-\d\d-\d\d .*Z \(.* ago\) .* GitLab has no such repository$/,
  );
  expect(row.indexOf('GitLab')).toBe(head.indexOf('ERROR'));

  isMended = true;
  const retried = await forgeflow(['jobs', 'retry', jobId], env);
  expect(retried).toMatchObject({ exitCode: 0, stdout: `Submitted ${jobId}` });
  await resultOf(jobId);
  const list = ['jobs', 'list', '--kind', 'reindex_search', '--state', 'completed', '--limit', '5'];
  await expect.poll(() => environment.forgeflow.jobs.list({ state: 'completed' })).toHaveLength(1);
  expect(await forgeflowJson<JobStatus[]>(list, env)).toEqual([{ ...dead, state: 'completed', error: null }]);
  expect(await forgeflow(['jobs', 'retry', jobId], env)).toMatchObject({
    exitCode: 1,
    stderr: `error: job ${jobId} has completed; "jobs enqueue" runs it again`,
  });
});

test('J1: a key of the caller; one that is active already says so to people, too', async () => {
  const { opened, open } = gate();
  const subject = script.subject(() => opened.then(() => DONE));
  const enqueue = ['jobs', 'enqueue', 'reindex_search', '--payload', payloadOf(subject), '--dedupe-key', 'mine'];
  expect(await forgeflowJson(enqueue, env)).toEqual({
    jobId: 'reindex_search/mine',
    kind: 'reindex_search',
    deduped: false,
  });
  await expect.poll(() => script.runs(subject).length, { timeout: 10_000 }).toBe(1);
  expect(await forgeflow(enqueue, env)).toMatchObject({
    exitCode: 0,
    stdout: 'reindex_search/mine is active already; it runs once more after the run under way.',
  });
  open();
});

test('J5: kinds, for programs and as a table', async () => {
  const kinds = await forgeflowJson<KindStatus[]>(['jobs', 'kinds'], {});
  expect(kinds.map(({ kind }) => kind)).toEqual(Object.keys(JOB_KINDS));
  expect(Object.keys(kinds[0]!)).toEqual(['kind', 'description', 'queue', 'payload']);
  const { stdout } = await forgeflow(['jobs', 'kinds'], {}); // without any settings
  expect(stdout).toMatch(/^KIND +PAYLOAD +QUEUE +WHAT IT WORKS OUT\n/);
  expect(stdout).toMatch(/\nreindex_search +\{"repositoryId"\} +git +The code search index/);
});

test.each<[string, string[], number, RegExp]>([
  [
    'a bad payload',
    ['enqueue', 'reindex_search', '--payload', '{"repositoryId":"x"}'],
    2,
    /^error: repositoryId: it is not a number$/,
  ],
  ['no JSON', ['enqueue', 'reindex_search', '--payload', '{oops'], 2, /^error: payload: it is not JSON/],
  [
    'an unknown kind',
    ['enqueue', 'mine_bitcoin'],
    2,
    /^error: kind: there is no "mine_bitcoin"; there are recompute_mergeability, /,
  ],
  ['an unknown job', ['retry', 'reindex_search/repo/404'], 3, /^error: there is no job "reindex_search\/repo\/404"/],
  ['an unknown state', ['list', '--state', 'lost'], 2, /Allowed choices are running, completed, dead, cancelled/],
])('what is wrong gets one sentence and leaves no trace: %s', async (_, args, exitCode, message) => {
  const { temporal } = environment.forgeflow;
  const before = (await temporal.workflow.count()).count;
  const result = await forgeflow(['jobs', ...args], env);
  expect(result.stderr).toMatch(message);
  expect(result).toMatchObject({ exitCode, stdout: '' });
  expect((await temporal.workflow.count()).count).toBe(before);
});
