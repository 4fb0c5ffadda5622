import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { JOB_KINDS } from '../../src/domain/job-kinds.ts';
import { ForgeflowClient } from '../../src/index.ts';
import { addMergeRequest, addTrackedRepository } from '../database/merge-request-rows.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';

/** Without workers: what is submitted waits. */
let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true });
});
afterAll(() => environment.stop());

const describeJob = (jobId: string) => environment.forgeflow.temporal.workflow.getHandle(jobId).describe();
const countJobs = async () => (await environment.forgeflow.temporal.workflow.count()).count;
const LONG_ID = 'x'.repeat(255);

test('J5: kinds says of each what it works out, what it wants, and where it runs', () => {
  const kinds = environment.forgeflow.jobs.kinds();
  expect(kinds.map(({ kind }) => kind)).toEqual(Object.keys(JOB_KINDS));
  expect(kinds).toContainEqual({
    kind: 'reindex_search',
    description: JOB_KINDS.reindex_search.description,
    queue: 'git',
    payload: { repositoryId: 'our id' },
  });
});

describe('what is wrong is refused, with the field named, before anything starts', () => {
  test.each<[string, Parameters<ForgeflowClient['enqueue']>, string]>([
    ['an unknown kind', ['mine_bitcoin', {}], 'kind'],
    ['a kind that every object has', ['toString', {}], 'kind'],
    ['no payload', ['reindex_search'], 'repositoryId'],
    ['an empty payload', ['reindex_search', ''], 'repositoryId'],
    ["another kind's payload", ['reindex_search', { mergeRequestId: 1 }], 'repositoryId'],
    ['a text as an id', ['recompute_mergeability', { mergeRequestId: '7' }], 'mergeRequestId'],
    ['half an id', ['recompute_mergeability', { mergeRequestId: 0.5 }], 'mergeRequestId'],
    ['an id that Postgres has not', ['recompute_mergeability', { mergeRequestId: 2 ** 31 }], 'mergeRequestId'],
    ['a field too many', ['reindex_search', { repositoryId: 1, fast: true }], 'fast'],
    ['a list', ['reindex_search', [1]], 'payload'],
    ['a key with a quote', ['reindex_search', { repositoryId: 1 }, "o'key"], 'dedupeKey'],
    ['a key with a line feed', ['reindex_search', { repositoryId: 1 }, 'a\nb'], 'dedupeKey'],
    ['a key that is too long', ['reindex_search', { repositoryId: 1 }, LONG_ID], 'dedupeKey'],
  ])('%s', async (_, args, field) => {
    const trying = environment.forgeflow.enqueue(...args);
    await expect(trying).rejects.toMatchObject({ name: 'Refusal', kind: 'invalid', field });
    await expect(trying).rejects.toThrow(new RegExp(`^${field}: `));
    expect(await countJobs()).toBe(0);
  });
});

test('J1: a job says in the Web UI what it is about; one of what is not there is submitted all the same', async () => {
  const { database, forgeflow } = environment;
  const repository = await addTrackedRepository(database.db, { path: 'acme/shop' });
  const mergeRequestId = await addMergeRequest(database.db, repository.gitlabId, { iid: 12 });
  const jobs = [
    await forgeflow.enqueue('reindex_search', { repositoryId: repository.id }),
    await forgeflow.enqueue('recompute_mergeability', { mergeRequestId }),
    await forgeflow.enqueue('reindex_search', { repositoryId: 2 ** 31 - 1 }),
  ];
  expect(jobs.map(({ jobId }) => jobId)).toEqual([
    `reindex_search/repo/${repository.id}`,
    `recompute_mergeability/mr/${mergeRequestId}`,
    'reindex_search/repo/2147483647',
  ]);
  const seen = await Promise.all(
    jobs.map(async ({ jobId }) => {
      const { staticSummary, typedSearchAttributes } = await describeJob(jobId).then(async (found) => ({
        staticSummary: await found.staticSummary(),
        typedSearchAttributes: found.typedSearchAttributes
          .getAll()
          .map(({ key, value }) => `${key.name}=${String(value)}`)
          .sort(),
      }));
      return [staticSummary, typedSearchAttributes];
    }),
  );
  const attributes = ['forgeflowRepository=acme/shop', `forgeflowRepositoryId=${repository.id}`];
  expect(seen).toEqual([
    [`acme/shop: ${JOB_KINDS.reindex_search.description}`, attributes],
    [`acme/shop!12: ${JOB_KINDS.recompute_mergeability.description}`, attributes],
    [JOB_KINDS.reindex_search.description, []],
  ]);
});

test('a job about a repository with a path as long as GitLab allows is submitted like any other', async () => {
  const { database, forgeflow } = environment;
  const path = Array.from({ length: 20 }, (_, level) => `${level}`.padEnd(50, 'g')).join('/');
  const { id } = await addTrackedRepository(database.db, { path });
  const { jobId, deduped } = await forgeflow.enqueue('reindex_search', { repositoryId: id });
  expect(deduped).toBe(false);
  expect((await describeJob(jobId)).status.name).toBe('RUNNING');
});

test('retry: what is unknown is not found; what runs, or has no job of that name, is a conflict', async () => {
  const { jobs, temporal } = environment.forgeflow;
  await expect(jobs.retry('reindex_search/repo/404')).rejects.toMatchObject({ kind: 'not_found' });
  const { jobId } = await jobs.enqueue('reindex_search', { repositoryId: 7 });
  await expect(jobs.retry(jobId)).rejects.toMatchObject({ kind: 'conflict' });
  await temporal.workflow.start('sweepDeliveries', { workflowId: 'no-job', taskQueue: 'forgeflow' });
  await expect(jobs.retry('no-job')).rejects.toMatchObject({ kind: 'not_found' });
  await temporal.workflow.getHandle(jobId).terminate('enough');
  expect(await jobs.retry(jobId)).toEqual({ jobId, kind: 'reindex_search', deduped: false });
});

test.each([0, -1, 1.5, 1_001, Number.NaN])('list and dead refuse to show %d jobs', async (limit) => {
  const { jobs } = environment.forgeflow;
  await expect(jobs.list({ limit })).rejects.toMatchObject({ field: 'limit' });
  await expect(jobs.dead({ limit })).rejects.toMatchObject({ field: 'limit' });
});

test('list refuses a kind that there is not, whatever it would do in a query', async () => {
  const { jobs } = environment.forgeflow;
  await expect(jobs.list({ kind: "' or WorkflowType = 'sweepDeliveries" })).rejects.toMatchObject({ field: 'kind' });
});

test('while Temporal is away every call says so within seconds', async () => {
  const away = { ...environment.config, temporalEnv: { TEMPORAL_ADDRESS: '127.0.0.1:1' } };
  const client = await ForgeflowClient.connect(away);
  const begunAt = Date.now();
  const calls = [client.enqueue('reindex_search', { repositoryId: 1 }), client.jobs.list(), client.jobs.retry('x')];
  await Promise.all(calls.map((call) => expect(call).rejects.toThrow(/^TEMPORAL_ADDRESS: /)));
  expect(Date.now() - begunAt).toBeLessThan(10_000);
  await client.close();
});
