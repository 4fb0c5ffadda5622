import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import {
  type Answer,
  type JobClient,
  type JobWorker,
  startJobClient,
  startJobWorker,
} from '../support/job-processes.ts';
import { type JobHandle, untilEnded } from '../support/job-script.ts';
import {
  addSubject,
  createJobWorld,
  endRunsOf,
  hold,
  readCounter,
  type RecordedRun,
  release,
  runsOf,
} from '../support/job-world.ts';

/** The heartbeat timeout of 20 s, and the delay of 2 s after the first attempt; a machine that has much to do adds to it. */
const GOES_ON_WITHIN_MS = 30_000;

let environment: Environment;
let clients: JobClient[];
let workers: JobWorker[];
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true });
  const { database, variables } = environment;
  await createJobWorld(database.db);
  [clients, workers] = await Promise.all([
    Promise.all([1, 2, 3].map(() => startJobClient(variables))),
    Promise.all([1, 2].map(() => startJobWorker(variables))),
  ]);
});
afterAll(async () => {
  await Promise.all([...workers.map((worker) => worker.kill('SIGKILL')), ...clients.map((client) => client.stop())]);
  await environment.stop();
});

const jobIdOf = (subject: number) => `reindex_search/repo/${subject}`;
const handleOf = (subject: number): JobHandle => environment.forgeflow.temporal.workflow.getHandle(jobIdOf(subject));
const enqueue = (subject: number) => environment.forgeflow.enqueue('reindex_search', { repositoryId: subject });
const recorded = (subject: number) => runsOf(environment.database.db, subject);

/** All clients trigger the same job, all at once. */
async function trigger(subject: number, times: number): Promise<Answer[]> {
  const shares = clients.map((_, index) => Math.floor((times + index) / clients.length));
  return (await Promise.all(clients.map((client, index) => client.trigger({ subject, times: shares[index]! })))).flat();
}

async function untilRun(
  subject: number,
  isIt: (run: RecordedRun) => boolean,
  timeoutMs = 20_000,
): Promise<RecordedRun> {
  return eventually(async () => {
    const runs = await recorded(subject);
    const found = runs.find(isIt);
    if (found === undefined) throw new Error(`there is no such run: ${JSON.stringify(runs)}`);
    return found;
  }, timeoutMs);
}
const untilActive = (subject: number, timeoutMs?: number) =>
  untilRun(subject, ({ endedAt }) => endedAt === null, timeoutMs);

/** Takes one away at once, with what it has in hand, and starts another in its place. */
async function replace(pid: number, signal: NodeJS.Signals): Promise<void> {
  const index = workers.findIndex((worker) => worker.pid === pid);
  await workers[index]!.kill(signal);
  if (signal === 'SIGKILL') await endRunsOf(environment.database.db, pid);
  workers[index] = await startJobWorker(environment.variables);
}

/** What holds however many trigger a job, and whatever dies meanwhile. */
async function obeysLaws(subject: number, answers: Answer[], answeredAt: number): Promise<void> {
  const { db } = environment.database;
  const lastNews = await readCounter(db, subject);
  expect(Math.max(...answers.map(({ raised }) => raised))).toBe(lastNews);
  await untilEnded(handleOf(subject));
  expect((await handleOf(subject).result())['read']).toBe(lastNews);

  const runs = await recorded(subject);
  for (const [index, { endedAt }] of runs.entries()) {
    const next = runs[index + 1];
    if (next) expect(endedAt!.getTime(), 'no two at once').toBeLessThanOrEqual(next.startedAt.getTime());
  }
  const after = runs.filter(({ attempt, startedAt }) => attempt === 1 && startedAt.getTime() > answeredAt);
  expect(after.length, 'at most one further run').toBeLessThanOrEqual(1);

  const fresh = answers.filter(({ deduped }) => !deduped).length;
  const query = `WorkflowId = '${jobIdOf(subject)}'`;
  await expect
    .poll(async () => (await environment.forgeflow.temporal.workflow.count(query)).count, { timeout: 10_000 })
    .toBe(fresh);
}

test('J2: 500 submissions by three processes, half of them at once and half of them while it runs: one run, and one further', async () => {
  const { db } = environment.database;
  await addSubject(db, 1, [0]);
  await hold(db, 1);
  const answers = await trigger(1, 250);
  expect(answers.filter(({ deduped }) => !deduped).length).toBe(1);
  await untilActive(1);
  answers.push(...(await trigger(1, 250)));
  expect(answers.length).toBe(500);
  const releasedAt = Date.now();
  await release(db, 1);
  await obeysLaws(1, answers, releasedAt);
  expect((await recorded(1)).length).toBe(2);
});

test('J2 J4: the same while workers are killed in the middle of a run and between: it ends elsewhere, within the heartbeat timeout', async () => {
  const { db } = environment.database;
  await addSubject(db, 2, [0]);
  await hold(db, 2);
  const answers = await trigger(2, 100);
  const { worker, startedAt } = await untilActive(2);
  const waves = [trigger(2, 100)];
  const killedAt = Date.now();
  await replace(worker, 'SIGKILL');
  waves.push(trigger(2, 100));
  const second = await untilActive(2, GOES_ON_WITHIN_MS + 5_000);
  expect(second.startedAt.getTime()).toBeGreaterThan(startedAt.getTime());
  expect(second.attempt).toBe(2);
  expect(second.startedAt.getTime() - killedAt).toBeLessThan(GOES_ON_WITHIN_MS);
  waves.push(trigger(2, 100));
  // Not that which has the job in hand, but it may have the workflow.
  await replace(workers.find(({ pid }) => pid !== second.worker)!.pid, 'SIGKILL');
  waves.push(trigger(2, 100));
  for (const wave of waves) answers.push(...(await wave));
  expect(answers.length).toBe(500);
  const releasedAt = Date.now();
  await release(db, 2);
  await obeysLaws(2, answers, releasedAt);
  const ends = (await recorded(2)).map(({ endedAs }) => endedAs);
  expect(ends).toEqual(['killed', 'done', 'done']);
}, 90_000);

test('J4 SIGTERM in the middle of a job: it is put back and done elsewhere at once, and has lost no attempt by it', async () => {
  await addSubject(environment.database.db, 3, [60_000, 200]);
  await enqueue(3);
  const { worker } = await untilActive(3);
  const askedAt = Date.now();
  const replacing = replace(worker, 'SIGTERM');
  const next = await untilRun(3, ({ startedAt }) => startedAt.getTime() > askedAt);
  expect(next.startedAt.getTime() - askedAt).toBeLessThan(8_000);
  await replacing;
  expect(await handleOf(3).result()).toMatchObject({ summary: 'read', attempts: 1 });
  expect((await recorded(3)).map(({ attempt, endedAs }) => [attempt, endedAs])).toEqual([
    [1, 'broken off'],
    [1, 'done'],
  ]);
});

test('J4: jobs that are queued while all workers restart are done by the new ones', async () => {
  const subjects = Array.from({ length: 12 }, (_, index) => 10 + index);
  for (const subject of subjects) await addSubject(environment.database.db, subject, [150]);
  await Promise.all(workers.map((worker) => worker.kill('SIGTERM')));
  for (const subject of subjects) expect((await enqueue(subject)).deduped).toBe(false);
  workers = [await startJobWorker(environment.variables)];
  await untilRun(subjects[0]!, () => true);
  await replace(workers[0]!.pid, 'SIGTERM'); // those in hand are ended within its grace, the others stay queued
  for (const subject of subjects) {
    // A task that the server hands to a worker just as that stops is lost, and goes on as one whose worker was killed.
    expect(await handleOf(subject).result()).toMatchObject({ summary: 'read' });
    const ends = (await recorded(subject)).map(({ endedAs }) => endedAs);
    expect(ends.filter((end) => end === 'done').length).toBe(1);
  }
});
