import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { fastForward } from '../../src/dev/fast-forward.ts';
import type { RunningWorkers } from '../../src/temporal/worker.ts';
import { permanentFailure } from '../../activities/failures.ts';
import { type JobStatus, jobStatusQuery } from '../../workflows/messages.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { DONE, gate, type JobHandle, jobScript, untilEnded } from '../support/job-script.ts';
import { startJobWorkers } from '../support/job-workers.ts';

let environment: Environment;
let workers: RunningWorkers;
const script = jobScript();
beforeAll(async () => {
  // So few events, and a job is advised to continue as new: what is shown here holds across that too.
  environment = await startEnvironment({
    withoutWorkers: true,
    temporalConfig: ['limit.historyCount.suggestContinueAsNew=40'],
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

const reindex = (repositoryId: number, key?: string) =>
  environment.forgeflow.enqueue('reindex_search', { repositoryId }, key);
const handleOf = (jobId: string): JobHandle => environment.forgeflow.temporal.workflow.getHandle(jobId);
const statusOf = (jobId: string): Promise<JobStatus> => handleOf(jobId).query(jobStatusQuery);
const untilRuns = (subject: number, count: number) =>
  expect.poll(() => script.runs(subject).length, { timeout: 20_000 }).toBe(count);

/** How many workflows there were under an id, each with those that it was continued as. */
async function countStarted(jobId: string): Promise<number> {
  const query = `WorkflowId = '${jobId}' and ExecutionStatus != 'ContinuedAsNew'`;
  return (await environment.forgeflow.temporal.workflow.count(query)).count;
}

test('J1: a job is a workflow of its kind with the dedupe key as its id, is run once, and says what came of it', async () => {
  const subject = script.subject(() => ({ summary: 'done', files: 7 }));
  const jobId = `reindex_search/repo/${subject}`;
  expect(await reindex(subject)).toEqual({ jobId, kind: 'reindex_search', deduped: false });
  expect(await handleOf(jobId).result()).toEqual({ summary: 'done', files: 7, attempts: 1 });
  expect(script.runs(subject).map(({ payload }) => payload)).toEqual([{ repositoryId: subject }]);
  expect((await handleOf(jobId).describe()).type).toBe('reindex_search');
});

test('J1: without a key two submissions are two jobs, by a key of the caller they are one', async () => {
  const { opened, open } = gate();
  const subject = script.subject(() => opened.then(() => DONE));
  const [first, second] = await Promise.all([reindex(subject, ''), reindex(subject, '')]);
  const [third, fourth] = [await reindex(subject, 'mine'), await reindex(subject, 'reindex_search/mine')];
  expect([first, second, third].map(({ deduped }) => deduped)).toEqual([false, false, false]);
  expect(fourth).toEqual({ ...third, jobId: 'reindex_search/mine', deduped: true });
  expect(new Set([first, second, third].map(({ jobId }) => jobId)).size).toBe(3);
  await untilRuns(subject, 3);
  open();
  await Promise.all([first, second, third].map(({ jobId }) => handleOf(jobId).result()));
  expect(script.runs(subject).length).toBe(4);
});

describe('J2: a trigger is never lost', () => {
  test('many that arrive while it runs lead to one further run, with the newest payload', async () => {
    const { opened, open } = gate();
    const first = script.subject(() => opened.then(() => DONE));
    const [older, newest] = [script.subject(() => DONE), script.subject(() => ({ summary: 'newest' }))];
    const { jobId } = await reindex(first, `many-${first}`);
    await untilRuns(first, 1);
    for (const subject of [first, older, older, newest]) {
      expect(await reindex(subject, `many-${first}`)).toMatchObject({ jobId, deduped: true });
    }
    expect(await statusOf(jobId)).toEqual({ runs: 1, isAskedAgain: true, waitsUntil: null, lastSaid: null });
    open();
    expect(await handleOf(jobId).result()).toMatchObject({ summary: 'newest' });
    expect([first, older, newest].map((subject) => script.runs(subject).length)).toEqual([1, 0, 1]);
    expect(await statusOf(jobId)).toEqual({ runs: 2, isAskedAgain: false, waitsUntil: null, lastSaid: 'newest' });
    const { currentDetails } = await handleOf(jobId).query<{ currentDetails: string }>('__temporal_workflow_metadata');
    expect(currentDetails).toBe('run 2\n\nlast: newest');
  });

  test('one that arrives in the further run leads to another; one after the end starts the job anew', async () => {
    const gates = [gate(), gate(), gate()];
    const subject = script.subject(({ number }) => gates[number - 1]?.opened.then(() => DONE) ?? DONE);
    const { jobId } = await reindex(subject);
    for (const [index, { open }] of gates.entries()) {
      await untilRuns(subject, index + 1);
      if (index < 2) expect((await reindex(subject)).deduped).toBe(true);
      open();
    }
    await handleOf(jobId).result();
    expect(script.runs(subject).length).toBe(3);
    expect(await reindex(subject)).toMatchObject({ jobId, deduped: false });
    await handleOf(jobId).result();
    expect(script.runs(subject).length).toBe(4);
  });

  test('one that arrives while it waits for its next attempt', async () => {
    const subject = script.subject(({ number }) => {
      if (number === 1) throw new Error('not yet');
      return { summary: `run ${number}` };
    });
    const { jobId } = await reindex(subject);
    await eventually(async () => {
      const { raw } = await handleOf(jobId).describe();
      if (raw.pendingActivities?.[0]?.lastFailure?.message !== 'Error: not yet') throw new Error('it has not failed');
    });
    expect((await reindex(subject)).deduped).toBe(true);
    expect((await reindex(subject)).deduped).toBe(true);
    expect(await handleOf(jobId).result()).toMatchObject({ summary: 'run 3', attempts: 1 });
    expect(script.runs(subject).map(({ attempt }) => attempt)).toEqual([1, 2, 1]);
  });

  test('one that arrives while it fails for good: it is not dead, since that one has not been heard', async () => {
    const { opened, open } = gate();
    const subject = script.subject(async ({ number }) => {
      if (number > 1) return DONE;
      await opened;
      throw permanentFailure('this cannot be done');
    });
    const { jobId } = await reindex(subject);
    await untilRuns(subject, 1);
    expect((await reindex(subject)).deduped).toBe(true);
    open();
    expect(await handleOf(jobId).result()).toMatchObject({ summary: 'done' });
    expect(script.runs(subject).length).toBe(2);
  });

  test('those that arrive while it is postponed: it goes on at its time, once, with the newest payload', async () => {
    const HOUR = 3_600_000;
    const until = new Date(Date.now() + HOUR).toISOString();
    const subject = script.subject(() => ({ postponedUntil: until, reason: 'the rate limit of GitLab is used up' }));
    const newest = script.subject(() => ({ summary: 'newest' }));
    const { jobId } = await reindex(subject, `postponed-${subject}`);
    await eventually(async () => {
      if ((await statusOf(jobId)).waitsUntil === null) throw new Error('it does not wait');
    });
    for (const about of [subject, newest]) {
      expect((await reindex(about, `postponed-${subject}`)).deduped).toBe(true);
    }
    expect(await statusOf(jobId)).toEqual({
      runs: 1,
      isAskedAgain: true,
      waitsUntil: until,
      lastSaid: 'the rate limit of GitLab is used up',
    });
    await fastForward(environment.forgeflow.temporal, jobId, HOUR - 60_000);
    expect(script.runs(newest).length).toBe(0);
    await fastForward(environment.forgeflow.temporal, jobId, 60_000);
    expect(await handleOf(jobId).result()).toEqual({ summary: 'newest', attempts: 1 });
    expect([subject, newest].map((about) => script.runs(about).length)).toEqual([1, 1]);
  });

  test('U5: those that arrive while it waits for what they may know of wake it, once, with the newest payload', async () => {
    const held = {
      postponedUntil: '2099-01-01T00:00:00Z',
      reason: 'its commit is not there yet',
      wakesWhenAsked: true,
    };
    const newest = script.subject(() => DONE);
    const subject = script.subject(() => held);
    const { jobId } = await reindex(subject, `held-${subject}`);
    await eventually(async () => {
      expect((await statusOf(jobId)).waitsUntil).toBe(held.postponedUntil);
    });
    expect((await reindex(newest, `held-${subject}`)).deduped).toBe(true);
    expect(await handleOf(jobId).result()).toMatchObject(DONE);
    expect([script.runs(subject).length, script.runs(newest).length]).toEqual([1, 1]);
  });

  test('a job that asks to be postponed again and again never dies of it, whatever the time it names', async () => {
    const times = ['1970-01-01T00:00:00Z', new Date(Date.now() + 1_500).toISOString()];
    const subject = script.subject(({ number }) =>
      number > times.length ? DONE : { postponedUntil: times[number - 1] ?? '', reason: 'not now' },
    );
    const { jobId } = await reindex(subject);
    expect(await handleOf(jobId).result()).toMatchObject({ summary: 'done' });
  });

  test('the newest payload is what the job is shown with, also once it is over', async () => {
    const { opened, open } = gate();
    const first = script.subject(() => opened.then(() => DONE));
    const newest = script.subject(() => DONE);
    const { jobId } = await reindex(first, `shown-${first}`);
    await untilRuns(first, 1);
    await reindex(newest, `shown-${first}`);
    open();
    await handleOf(jobId).result();
    expect((await handleOf(jobId).describe()).memo).toEqual({ payload: { repositoryId: newest } });
  });

  test('a job that is asked for without end continues as new, and nothing of what was asked gets lost on the way', async () => {
    const ROUNDS = 12;
    const subject = script.subject(async ({ number }) => {
      // Asked for in each run, by its own run: the last thing that happens in it.
      if (number <= ROUNDS) expect((await reindex(subject)).deduped).toBe(true);
      return { summary: `run ${number}` };
    });
    const { jobId } = await reindex(subject);
    expect(await handleOf(jobId).result()).toMatchObject({ summary: `run ${ROUNDS + 1}` });
    const { historyLength, memo, raw } = await handleOf(jobId).describe();
    expect(historyLength).toBeLessThan(80);
    expect(memo).toEqual({ payload: { repositoryId: subject } });
    expect(raw.workflowExecutionInfo?.priority?.priorityKey).toBe(4);
    await expect.poll(() => countStarted(jobId), { timeout: 10_000 }).toBe(1);
    const { count } = await environment.forgeflow.temporal.workflow.count(`WorkflowId = '${jobId}'`);
    expect(count).toBeGreaterThan(1);
    expect(script.runs(subject).length).toBe(ROUNDS + 1);
  });

  test('at any moment, also just as the job ends (property)', async () => {
    const ms = (max: number) => fc.noBias(fc.integer({ min: 0, max })); // or in so few runs most of them would be 0
    const plan = fc.record({ takesMs: ms(60), later: fc.array(ms(150), { minLength: 1, maxLength: 6, size: 'max' }) });
    await fc.assert(
      fc.asyncProperty(fc.array(plan, { minLength: 8, maxLength: 8 }), async (plans) => {
        await Promise.all(plans.map(obeyLaws));
      }),
      { numRuns: 2, endOnFailure: true },
    );
  });
});

/**
 * Triggers a job, and so long after its first run has begun again, each time with something new to be read; and looks at all
 * that came of it.
 */
async function obeyLaws({ takesMs, later }: { takesMs: number; later: number[] }): Promise<void> {
  let news = 0;
  const { opened, open } = gate();
  const subject = script.subject(async () => {
    open();
    const read = news;
    await sleep(takesMs);
    return { summary: 'read', read };
  });
  const trigger = () => ((news += 1), reindex(subject));
  const answers = [await trigger()];
  await opened;
  answers.push(...(await Promise.all(later.map((delayMs) => sleep(delayMs).then(trigger)))));
  const answeredAt = Date.now();
  const jobId = answers[0]!.jobId;
  await untilEnded(handleOf(jobId));
  expect((await handleOf(jobId).result())['read']).toBe(news);
  const runs = script.runs(subject);
  for (const [index, { endedAt }] of runs.entries()) {
    if (index + 1 < runs.length) expect(runs[index + 1]!.startedAt).toBeGreaterThanOrEqual(endedAt!);
  }
  // The one that is active, or about to be, and one more.
  expect(runs.filter(({ startedAt }) => startedAt > answeredAt).length).toBeLessThanOrEqual(2);
  expect(runs.filter(({ endedAt }) => endedAt! > answeredAt).length).toBeLessThanOrEqual(2);
  const fresh = answers.filter(({ deduped }) => !deduped).length;
  await expect.poll(() => countStarted(jobId), { timeout: 10_000 }).toBe(fresh);
}

test('J2: of a hundred submissions at once one starts the job, and the others know that they did not', async () => {
  const subject = script.subject(() => DONE);
  const { opened, open } = gate();
  const slow = script.subject(() => opened.then(() => DONE));
  const answers = await Promise.all(Array.from({ length: 100 }, () => reindex(slow)));
  open();
  expect(answers.filter(({ deduped }) => !deduped).length).toBe(1);
  await handleOf(answers[0]!.jobId).result();
  expect(script.runs(slow).length).toBeLessThanOrEqual(2);
  expect(script.runs(subject).length).toBe(0);
});
