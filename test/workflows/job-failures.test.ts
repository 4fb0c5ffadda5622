import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { permanentFailure } from '../../activities/failures.ts';
import { fastForward } from '../../src/dev/fast-forward.ts';
import type { JobStatus } from '../../src/client/jobs.ts';
import type { RunningWorkers } from '../../src/temporal/worker.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { historyText } from '../support/history.ts';
import { DONE, gate, type JobHandle, jobScript, untilEnded } from '../support/job-script.ts';
import { startJobWorkers } from '../support/job-workers.ts';

let environment: Environment;
let workers: RunningWorkers;
const script = jobScript();
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true });
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

const reindex = (repositoryId: number) => environment.forgeflow.enqueue('reindex_search', { repositoryId });
const handleOf = (jobId: string): JobHandle => environment.forgeflow.temporal.workflow.getHandle(jobId);

/** As nobody does who uses our client. */
async function startRaw(type: string, workflowId: string, args: unknown[]): Promise<JobHandle> {
  const { workflow } = environment.forgeflow.temporal;
  return workflow.start(type, { workflowId, taskQueue: 'forgeflow', args }) as Promise<unknown> as Promise<JobHandle>;
}

/** What is listed of a job; the list lags a little. */
async function listed(
  which: 'dead' | 'list',
  jobId: string,
  isWanted: (all: JobStatus[]) => boolean,
): Promise<JobStatus[]> {
  return eventually(async () => {
    const all = (await environment.forgeflow.jobs[which]()).filter((job) => job.jobId === jobId);
    if (!isWanted(all)) throw new Error(`listed: ${JSON.stringify(all)}`);
    return all;
  });
}
/** Waits until an attempt has failed and the next is to come. @returns the delay between them */
async function untilRetry(jobId: string, attempt: number) {
  return eventually(async () => {
    const { raw } = await handleOf(jobId).describe();
    const activity = raw.pendingActivities?.[0];
    if (activity?.attempt !== attempt || !activity.currentRetryInterval) throw new Error('it is not to be tried again');
    return activity.currentRetryInterval;
  });
}
const someOf = ({ length }: JobStatus[]) => length > 0;

const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

describe.concurrent('J3', () => {
  test('five attempts, 2, 4, 8 and 16 s apart; then it is dead, is listed, and can be run again', async ({
    expect,
  }) => {
    const { jobs } = environment.forgeflow;
    let isMended = false;
    const subject = script.subject(({ attempt }) => {
      if (isMended) return { summary: 'mended' };
      throw new Error(`no ${attempt}`);
    });
    const { jobId } = await reindex(subject);
    for (const [failures, delayS] of [2, 4, 8, 16].entries()) {
      const { seconds, nanos } = await untilRetry(jobId, failures + 2);
      expect(Number(seconds) + (nanos ?? 0) / 1e9).toBeCloseTo(delayS, 3);
      if (delayS === 8) {
        const [running] = await listed('list', jobId, someOf);
        expect(running).toMatchObject({ state: 'running', attempts: 4, error: 'Error: no 3', finishedAt: null });
      }
      await fastForward(environment.forgeflow.temporal, jobId, delayS * 1_000);
    }
    expect(await untilEnded(handleOf(jobId))).toBe('FAILED');
    expect(script.runs(subject).map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5]);
    const dead: JobStatus = {
      jobId,
      kind: 'reindex_search',
      payload: { repositoryId: subject },
      state: 'dead',
      attempts: 5,
      error: 'Error: no 5',
      startedAt: ISO,
      finishedAt: ISO,
    };
    expect(await listed('dead', jobId, someOf)).toEqual([dead]);

    isMended = true;
    expect(await jobs.retry(jobId)).toEqual({ jobId, kind: 'reindex_search', deduped: false });
    expect(await handleOf(jobId).result()).toEqual({ summary: 'mended', attempts: 1 });
    expect(await listed('dead', jobId, ({ length }) => length === 0)).toEqual([]);
    const completed = { ...dead, state: 'completed', attempts: 1, error: null };
    const runs = await listed('list', jobId, (all) => all.some(({ state }) => state === 'completed'));
    expect(runs.sort((a, b) => a.attempts - b.attempts)).toEqual([completed, dead]); // its clock has run ahead
    await expect(jobs.retry(jobId)).rejects.toMatchObject({ kind: 'conflict' });
  });

  test.for<[string, string, unknown[], string, RegExp]>([
    ['without a payload', 'reindex_search', [], 'JobImpossible', /^repositoryId: it is missing$/],
    ['with null', 'reindex_search', [null], 'JobImpossible', /^repositoryId: it is missing$/],
    [
      "with another kind's payload",
      'reindex_search',
      [{ mergeRequestId: 1 }],
      'JobImpossible',
      /^(repository|mergeRequest)Id: /,
    ],
    [
      'with an id beyond all ids',
      'reindex_search',
      [{ repositoryId: 2 ** 40 }],
      'JobImpossible',
      /^repositoryId: it is not a whole/,
    ],
    [
      'of an unknown kind',
      'mine_bitcoin',
      [{ repositoryId: 1 }],
      'UnknownKind',
      /^there is no kind of job "mine_bitcoin"; there are /,
    ],
  ])(
    'a job started by hand, %s: dead at once, and says why',
    async ([name, type, args, failure, message], { expect }) => {
      const handle = await startRaw(type, `raw/${name}`, args);
      const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        cause: { type: failure, message: expect.stringMatching(message) as string, nonRetryable: true },
      });
      const { startTime, closeTime } = await handle.describe();
      expect(closeTime!.getTime() - startTime.getTime()).toBeLessThan(2_000); // no second attempt
      if (failure === 'UnknownKind') return;
      expect(await listed('dead', `raw/${name}`, someOf)).toMatchObject([
        { payload: args.length === 0 ? {} : args[0], attempts: 1, error: expect.stringMatching(message) as string },
      ]);
      await expect(environment.forgeflow.jobs.retry(`raw/${name}`)).rejects.toMatchObject({ kind: 'invalid' });
    },
  );

  test('what can never be done is dead at the first attempt; run again, it keeps the id it has', async ({ expect }) => {
    let isThere = false;
    const subject = script.subject(() => {
      if (!isThere) throw permanentFailure('GitLab has no such repository');
      return DONE;
    });
    const handle = await startRaw('reindex_search', `by-hand-${subject}`, [{ repositoryId: subject }]);
    await expect(handle.result()).rejects.toMatchObject({ cause: { message: 'GitLab has no such repository' } });
    expect(script.runs(subject).length).toBe(1);
    expect(await listed('dead', handle.workflowId, someOf)).toMatchObject([{ attempts: 1 }]);
    isThere = true;
    expect(await environment.forgeflow.jobs.retry(handle.workflowId)).toMatchObject({
      jobId: handle.workflowId,
      deduped: false,
    });
    expect(await handleOf(handle.workflowId).result()).toMatchObject({ summary: 'done' });
    expect(await listed('dead', handle.workflowId, ({ length }) => length === 0)).toEqual([]);
  });

  test('a handler that throws no error is tried again, and what its errors carry stays out of the history', async ({
    expect,
  }) => {
    const secret = 'glpat-of-a-test';
    const thrown: unknown[] = [
      'oops',
      undefined,
      Object.assign(new Error('it failed', { cause: new Error(secret) }), { secret }),
    ];
    const subject = script.subject(({ number }) => {
      if (number <= thrown.length) throw thrown[number - 1];
      return DONE;
    });
    const { jobId } = await reindex(subject);
    await untilRetry(jobId, 2);
    await fastForward(environment.forgeflow.temporal, jobId, 15_000);
    expect(await handleOf(jobId).result()).toEqual({ summary: 'done', attempts: 4 });
    const history = await historyText(handleOf(jobId));
    expect(history).toContain('it failed');
    expect(history).not.toContain(secret);
  });

  test('an error of five megabytes is a failed attempt like any other', async ({ expect }) => {
    const subject = script.subject(({ number }) => {
      if (number === 1) throw new Error('x'.repeat(5_000_000));
      return DONE;
    });
    const { jobId } = await reindex(subject);
    expect(await handleOf(jobId).result()).toEqual({ summary: 'done', attempts: 2 });
  });
});

describe.concurrent('cancelled by Temporal', () => {
  test('while it waits for its next attempt: at once; its state says so, and it can be run again', async ({
    expect,
  }) => {
    const { jobs } = environment.forgeflow;
    const subject = script.subject(({ number }) => {
      if (number === 1) throw new Error('not yet');
      return DONE;
    });
    const { jobId } = await reindex(subject);
    await untilRetry(jobId, 2);
    await handleOf(jobId).cancel();
    expect(await untilEnded(handleOf(jobId))).toBe('CANCELLED');
    const [job] = await listed('list', jobId, ([first]) => first?.state === 'cancelled');
    expect(job).toMatchObject({ payload: { repositoryId: subject }, attempts: 0, error: null, finishedAt: ISO });
    expect(await jobs.dead()).not.toContainEqual(expect.objectContaining({ jobId }));
    expect(await jobs.retry(jobId)).toMatchObject({ jobId, deduped: false });
    expect(await handleOf(jobId).result()).toMatchObject({ summary: 'done' });
  });

  test('while it is postponed: at once', async ({ expect }) => {
    const subject = script.subject(() => ({ postponedUntil: '2099-01-01T00:00:00Z', reason: 'not in this century' }));
    const { jobId } = await reindex(subject);
    await eventually(async () => {
      const { waitsUntil } = await handleOf(jobId).query<{ waitsUntil: string | null }>('jobStatus');
      if (waitsUntil === null) throw new Error('it does not wait');
    });
    await handleOf(jobId).cancel();
    expect(await untilEnded(handleOf(jobId))).toBe('CANCELLED');
  });

  test('while it runs: the run is told and ends first; whoever asked meanwhile gets another run, with the newest payload', async ({
    expect,
  }) => {
    const { opened, open } = gate();
    const first = script.subject(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener(
            'abort',
            () =>
              void opened.then(() => {
                reject(new Error('broken off'));
              }),
          );
        }),
    );
    const newest = script.subject(() => ({ summary: 'newest' }));
    const enqueue = (repositoryId: number) =>
      environment.forgeflow.enqueue('reindex_search', { repositoryId }, `cancelled-${first}`);
    const { jobId } = await enqueue(first);
    await eventually(() =>
      script.runs(first).length === 1 ? Promise.resolve() : Promise.reject(new Error('not begun')),
    );
    await handleOf(jobId).cancel();
    await eventually(() =>
      script.runs(first)[0]?.signal.aborted ? Promise.resolve() : Promise.reject(new Error('not told')),
    );
    expect((await enqueue(newest)).deduped).toBe(true);
    expect(script.runs(newest).length).toBe(0);
    open();
    expect(await handleOf(jobId).result()).toMatchObject({ summary: 'newest' });
    expect(script.runs(first).length).toBe(1);
    expect(script.runs(newest)[0]!.startedAt).toBeGreaterThanOrEqual(script.runs(first)[0]!.endedAt!);
  });
});
