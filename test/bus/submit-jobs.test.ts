import { Client as TemporalClient, type Client, Connection, type WorkflowClientInterceptor } from '@temporalio/client';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { submitBatch } from '../../src/bus/submit-jobs.ts';
import { type JobRequest, requestJobs } from '../../src/database/job-requests.ts';
import { addMergeRequest, addTrackedRepository } from '../database/merge-request-rows.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { recordingLogger } from '../support/recording-logger.ts';

/** Without workers: what is submitted waits, and shows what it was told. */
let environment: Environment;
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true });
});
afterAll(() => environment.stop());
beforeEach(async () => {
  await sql`truncate job_requests`.execute(db());
});

const db = () => environment.database.db;
const reindex = (repositoryId: number): JobRequest => ({ kind: 'reindex_search', payload: { repositoryId } });
const jobIdOf = (repositoryId: number) => `reindex_search/repo/${repositoryId}`;

function submit(temporal: Client = environment.forgeflow.temporal) {
  const { logger, messages, lines } = recordingLogger();
  return { count: submitBatch({ db: db(), temporal, logger }), messages, lines };
}

async function countRequests(): Promise<number> {
  return (await db().selectFrom('job_requests').select('id').execute()).length;
}

/** How often a job was asked for; 0 where it was not even started. */
async function timesSubmitted(jobId: string): Promise<number> {
  const { events } = await environment.forgeflow.temporal.workflow
    .getHandle(jobId)
    .fetchHistory()
    .catch(() => ({ events: [] }));
  return (events ?? []).filter(
    (event) => event.workflowExecutionStartedEventAttributes ?? event.workflowExecutionSignaledEventAttributes,
  ).length;
}

test('J1: what was asked for is submitted once for each job, whatever stands twice in a batch, and is forgotten then', async () => {
  const repository = await addTrackedRepository(db(), { path: 'acme/shop' });
  const mergeRequestId = await addMergeRequest(db(), repository.gitlabId, { iid: 12 });
  const decide: JobRequest = { kind: 'recompute_review_decision', payload: { mergeRequestId } };
  await requestJobs(db(), [reindex(repository.id), decide, reindex(repository.id), reindex(2_000), decide]);
  const { count, messages } = submit();
  expect(await count).toBe(5);
  expect(messages('error', 'warn')).toEqual([]);
  const ids = [jobIdOf(repository.id), `recompute_review_decision/mr/${mergeRequestId}`, jobIdOf(2_000)];
  expect(await Promise.all(ids.map(timesSubmitted))).toEqual([1, 1, 1]);
  expect(await countRequests()).toBe(0);
  expect(await submit().count).toBe(0);

  await requestJobs(db(), [reindex(repository.id)]); // while it is active
  await submit().count;
  expect(await timesSubmitted(jobIdOf(repository.id))).toBe(2);
});

test('J2: a request is not lost when its transaction is rolled back, nor seen before it is committed', async () => {
  const undone = db()
    .transaction()
    .execute(async (transaction) => {
      await requestJobs(transaction, [reindex(2_100)]);
      expect(await submit().count).toBe(0);
      throw new Error('undone');
    });
  await expect(undone).rejects.toThrow('undone');
  expect(await submit().count).toBe(0);
  expect(await timesSubmitted(jobIdOf(2_100))).toBe(0);
});

test('what makes no sense is dropped with a word in the log, and holds up nothing; a kind of a newer version is left to it', async () => {
  await sql`
    insert into job_requests (kind, payload) values
      ('reindex_search', '{"repositoryId": "all of them"}'), ('reindex_search', '[]'), ('from_the_future', '{"x": 1}')
  `.execute(db());
  await requestJobs(db(), [reindex(2_200)]);
  const { count, messages, lines } = submit();
  expect(await count).toBe(3);
  expect(await timesSubmitted(jobIdOf(2_200))).toBe(1);
  expect(messages('ERROR')).toEqual(Array(2).fill('a job that was asked for makes no sense, and is dropped'));
  expect(lines[0]?.meta).toMatchObject({ problem: 'repositoryId: it is not a number' });
  const { rows } = await sql`select kind from job_requests`.execute(db());
  expect(rows).toEqual([{ kind: 'from_the_future' }]);
});

test('J2: while Temporal is away, and where a relay dies in the middle of a batch, all of it stays; the next submits it', async () => {
  const all = Array.from({ length: 30 }, (_, index) => 2_300 + index);
  await requestJobs(db(), all.map(reindex));
  // None of the batch goes on trying once it is known that Temporal is away.
  const connection = Connection.lazy({ address: '127.0.0.1:1' });
  let calls = 0;
  const count: WorkflowClientInterceptor = { startWithDetails: (input, next) => ((calls += 1), next(input)) };
  const away = new TemporalClient({ connection, interceptors: { workflow: [count] } });
  await away.withDeadline(Date.now() + 1_500, () => expect(submit(away).count).rejects.toThrow());
  await connection.close();
  expect(calls).toBe(20);
  expect(await countRequests()).toBe(30);
  expect(await Promise.all(all.map((id) => timesSubmitted(jobIdOf(id))))).toEqual(Array(30).fill(0));

  const nowhere = new TemporalClient({ connection: environment.forgeflow.temporal.connection, namespace: 'nowhere' });
  await expect(submit(nowhere).count).rejects.toThrow();
  expect(await countRequests()).toBe(30);

  expect(await submit().count).toBe(30);
  expect(await Promise.all(all.map((id) => timesSubmitted(jobIdOf(id))))).toEqual(Array(30).fill(1));
});

test('J2: several relays share what there is, and each request is submitted once', async () => {
  const all = Array.from({ length: 450 }, (_, index) => 3_000 + index);
  await requestJobs(db(), all.map(reindex));
  const counts = await Promise.all(Array.from({ length: 4 }, () => submit().count));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(450);
  expect(Math.max(...counts)).toBe(200);
  expect(await countRequests()).toBe(0);
  const submitted = await Promise.all(all.map((id) => timesSubmitted(jobIdOf(id))));
  expect(submitted).toEqual(Array(450).fill(1));
});
