import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { ActivityCancellationDetails, defaultFailureConverter, defaultPayloadConverter } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, test, vi } from 'vitest';
import { permanentFailure } from '../../activities/failures.ts';
import type { JobContext, JobOutcome } from '../../activities/job-context.ts';
import { createJobs, type JobHandlers } from '../../activities/jobs.ts';
import { ConfigError } from '../../src/config.ts';
import { JOB_KINDS, type JobKind } from '../../src/domain/job-kinds.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { GitError } from '../../src/git/git-error.ts';
import { GitlabUnavailable } from '../../src/gitlab/errors.ts';
import { recordingLogger } from '../support/recording-logger.ts';

type Handle = (payload: unknown, context: JobContext) => Promise<JobOutcome>;

const KINDS = Object.keys(JOB_KINDS) as JobKind[];
const jobsOf = (handle: Handle) =>
  createJobs(Object.fromEntries(KINDS.map((kind) => [kind, handle])) as unknown as JobHandlers);

const quiet = recordingLogger().logger;
const inPeace = () => new MockActivityEnvironment({ attempt: 3 }, { logger: quiet });
const FITTING: unknown = { repositoryId: 1 };

/** An attempt at reindex_search. */
async function attempt(handle: Handle, payload = FITTING, environment = inPeace()): Promise<JobOutcome> {
  return environment.run(() => jobsOf(handle).git.reindex_search!(payload));
}

async function failureOf(error: unknown): Promise<ApplicationFailure> {
  const failure: unknown = await attempt(() => {
    throw error;
  }).catch((thrown: unknown) => thrown);
  if (!(failure instanceof ApplicationFailure)) throw new Error('it is no failure of ours');
  return failure;
}

const FORGED = { repositoryId: '1; drop table jobs' };

test('J5: every kind has a description, a queue, and an activity of its name on that queue alone', () => {
  const queues = jobsOf(() => Promise.resolve({ summary: 'done' }));
  for (const kind of KINDS) {
    expect(JOB_KINDS[kind].description).toMatch(/^[A-Z].{20,}$/);
    const served = Object.entries(queues).filter(([, activities]) => typeof activities[kind] === 'function');
    expect(served.map(([queue]) => queue)).toEqual([JOB_KINDS[kind].queue]);
  }
});

test('J3: what was done comes back with the number of the attempt, what was postponed as it is', async () => {
  expect(await attempt(() => Promise.resolve({ summary: 'done', files: 2 }))).toEqual({
    ...{ summary: 'done', files: 2, attempts: 3 },
  });
  const postponed = { postponedUntil: '2026-11-26T00:00:00Z', reason: 'not now' };
  expect(await attempt(() => Promise.resolve(postponed))).toEqual(postponed);
});

describe('J3: a failed attempt', () => {
  test.each<[string, unknown, { type: string; message: string; nonRetryable: boolean }]>([
    ['an error', new TypeError('oops'), { type: 'JobFailed', message: 'TypeError: oops', nonRetryable: false }],
    ['a string', 'oops', { type: 'JobFailed', message: 'an unknown fault', nonRetryable: false }],
    ['undefined', undefined, { type: 'JobFailed', message: 'an unknown fault', nonRetryable: false }],
    ['null', null, { type: 'JobFailed', message: 'an unknown fault', nonRetryable: false }],
    [
      'an object without a prototype',
      Object.create(null),
      { type: 'JobFailed', message: 'an unknown fault', nonRetryable: false },
    ],
    [
      'a permanent failure',
      permanentFailure('there is no repository 1'),
      { type: 'JobImpossible', message: 'there is no repository 1', nonRetryable: true },
    ],
    [
      'a refusal',
      new Refusal('invalid', 'name: it is wrong'),
      { type: 'JobImpossible', message: 'name: it is wrong', nonRetryable: true },
    ],
    [
      'a missing setting',
      new ConfigError('GITLAB_URL', 'it is not set'),
      { type: 'SettingMissing', message: 'GITLAB_URL: it is not set', nonRetryable: true },
    ],
  ])('%s', async (_, error, expected) => {
    const failure = await failureOf(error);
    expect(failure).toMatchObject({ ...expected, details: [3] });
  });

  test.each(['not_found', 'corrupt'] as const)('git finds the repository %s: permanent', async (kind) => {
    expect(await failureOf(new GitError(kind, 'there is nothing to be done'))).toMatchObject({
      ...{ type: 'JobImpossible', nonRetryable: true, message: 'there is nothing to be done' },
    });
  });

  test.each([
    ['git', new GitError('unreachable', 'no whole answer came')],
    ['GitLab', new GitlabUnavailable('GitLab did not answer')],
  ])('%s is away: tried again', async (_, error) => {
    expect(await failureOf(error)).toMatchObject({ type: 'JobFailed', nonRetryable: false, message: error.message });
  });

  test.each<[string, unknown, RegExp]>([
    ['nothing', null, /^repositoryId: it is missing$/],
    ['another type', FORGED, /^repositoryId: it is not a number$/],
    ['another field', { repositoryId: 1, force: true }, /^force: there is no such field$/],
    ['no object', [1], /^payload: it is not a JSON object$/],
    ['a name of JavaScript', JSON.parse('{"__proto__": {"repositoryId": 1}}'), /^(repositoryId|__proto__): /],
  ])(
    'a payload that does not fit (%s): permanent, the field is named, the handler is not called',
    async (_, payload, message) => {
      let calls = 0;
      const trying = attempt(() => {
        calls += 1;
        return Promise.resolve({ summary: 'done' });
      }, payload);
      await expect(trying).rejects.toMatchObject({
        ...{ type: 'JobImpossible', nonRetryable: true, message: expect.stringMatching(message) as string },
      });
      await expect(trying).rejects.not.toThrow('drop table');
      expect(calls).toBe(0);
    },
  );

  test('neither the error nor its cause goes into the history, nor more than a thousand characters of it', async () => {
    const cause = new Error('request with token glpat-secret');
    const error = Object.assign(new Error('it failed', { cause }), { headers: { 'private-token': 'glpat-secret' } });
    error.stack = 'Error: it failed\n    at login (glpat-secret)';
    for (const thrown of [error, ApplicationFailure.create({ message: 'it failed', cause })]) {
      const failure = defaultFailureConverter.errorToFailure(await failureOf(thrown), defaultPayloadConverter);
      expect(JSON.stringify(failure)).toContain('it failed');
      expect(JSON.stringify(failure)).not.toContain('glpat-secret');
    }
    expect((await failureOf(new Error('x'.repeat(5_000_000)))).message.length).toBe(1_000);
  });

  test('a handler that answers nonsense has failed, too', async () => {
    const nonsense = [undefined, null, 'done', { postponedUntil: 'tomorrow', reason: 'not now' }];
    for (const answer of nonsense) {
      const trying = attempt(() => Promise.resolve(answer as unknown as JobOutcome));
      await expect(trying).rejects.toMatchObject({ type: 'JobFailed', nonRetryable: false });
    }
  });
});

test('J4: a worker that lives says so often enough for the heartbeat timeout of 20 s, as long as the job takes', async () => {
  vi.useFakeTimers();
  const environment = inPeace();
  const beats: number[] = [];
  environment.on('heartbeat', () => beats.push(Date.now()));
  const begunAt = Date.now();
  const trying = attempt(
    () => new Promise((resolve) => setTimeout(resolve, 90_000, { summary: 'done' })),
    FITTING,
    environment,
  );
  await vi.advanceTimersByTimeAsync(90_000);
  expect(await trying).toMatchObject({ summary: 'done' });
  await vi.advanceTimersByTimeAsync(90_000);
  vi.useRealTimers();
  expect(beats.at(-1)! - begunAt).toBeLessThanOrEqual(90_000);
  for (const [index, at] of [...beats, begunAt + 90_000].entries()) {
    expect(at - (beats[index - 1] ?? begunAt)).toBeLessThanOrEqual(5_000);
  }
});

describe('J4: an attempt that is broken off', () => {
  const untilAborted: Handle = (_, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(new Error('the query was cancelled'));
      });
    });

  test('by somebody who cancelled the job: it is cancelled, not failed', async () => {
    const environment = inPeace();
    const trying = attempt(untilAborted, FITTING, environment);
    environment.cancel('CANCELLED', new ActivityCancellationDetails({ cancelRequested: true }));
    await expect(trying).rejects.toBeInstanceOf(CancelledFailure);
  });

  test('by its worker that stops: it is put back, and has not failed', async () => {
    const environment = inPeace();
    const trying = attempt(untilAborted, FITTING, environment);
    environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    expect(await trying).toEqual({
      ...{ postponedUntil: expect.any(String) as string, reason: 'its worker was stopped' },
    });
  });

  test('but what is done all the same is done', async () => {
    const environment = inPeace();
    const trying = attempt(
      () => new Promise((resolve) => setTimeout(resolve, 20, { summary: 'done' })),
      FITTING,
      environment,
    );
    environment.cancel('WORKER_SHUTDOWN', new ActivityCancellationDetails({ workerShutdown: true }));
    expect(await trying).toMatchObject({ summary: 'done' });
  });
});
