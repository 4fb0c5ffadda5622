import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { JobKind } from '../../src/domain/job-kinds.ts';
import { createJobControl } from '../../src/temporal/job-control.ts';
import { submitJob } from '../../src/temporal/jobs.ts';
import type { RunningWorkers } from '../../src/temporal/worker.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { DONE, gate, type JobHandle, type JobRun, jobScript, untilEnded } from '../support/job-script.ts';
import { startJobWorkers } from '../support/job-workers.ts';

let environment: Environment;
let workers: RunningWorkers;
const script = jobScript();
beforeAll(async () => {
  environment = await startEnvironment({
    withoutWorkers: true,
    // So that the server soon knows of what it did, before which it deletes no execution.
    temporalConfig: [
      'history.transferProcessorUpdateAckInterval="1s"',
      'history.visibilityProcessorUpdateAckInterval="1s"',
    ],
  });
  workers = await startJobWorkers(environment.config, {
    workflowBundle: inject('workflowBundle'),
    handle: script.handle,
    gitConcurrency: 20,
  });
});
afterAll(async () => {
  await workers.stop();
  await environment.stop();
});

const temporal = () => environment.forgeflow.temporal;
const control = () => createJobControl(temporal());
const handleOf = (jobId: string): JobHandle => temporal().workflow.getHandle(jobId);

let repositories = 0;
const newRepository = () => ({ id: ++repositories, path: 'acme/shop' });

async function submit(
  repository: { id: number; path: string },
  subject: number,
  kind: JobKind = 'reindex_search',
): Promise<string> {
  const jobId = `${kind}/repo/${subject}`;
  const payload = { repositoryId: subject };
  await submitJob(temporal(), { kind, payload, jobId, subject: { repository, name: repository.path } });
  return jobId;
}

/** Ends when it is broken off, after it has done what there is to be tidied up. */
function untilBrokenOff({ signal }: JobRun, tidyMs = 0): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () =>
      setTimeout(() => {
        reject(signal.reason as Error);
      }, tidyMs),
    );
  });
}

const untilBegun = (subject: number, runs = 1) =>
  eventually(async () => {
    await Promise.resolve();
    if (script.runs(subject).length < runs) throw new Error('it has not begun');
  });

/** As the list has it, which lags. */
async function keptOf(id: number): Promise<string[]> {
  const kept: string[] = [];
  const query = `forgeflowRepositoryId = '${id}'`;
  for await (const { workflowId } of temporal().workflow.list({ query })) kept.push(workflowId);
  return kept;
}

test('U2: a job is over when its cancellation returns; where none is active nothing happens', async () => {
  const subject = script.subject((run) => untilBrokenOff(run, 300));
  const jobId = await submit(newRepository(), subject);
  await untilBegun(subject);
  expect(await control().cancel(jobId)).toBe(true);
  expect(script.runs(subject)).toMatchObject([{ endedAt: expect.any(Number) as number }]);
  expect((await handleOf(jobId).describe()).status.name).toBe('CANCELLED');
  expect(await control().cancel(jobId)).toBe(false);
  expect(await control().cancel('reindex_search/repo/404')).toBe(false);
});

test('U2: a job that was asked for again while it ran is cancelled with the run that follows', async () => {
  const subject = script.subject(untilBrokenOff);
  const repository = newRepository();
  const jobId = await submit(repository, subject);
  await untilBegun(subject);
  await submit(repository, subject);
  expect(await control().cancel(jobId)).toBe(true);
  expect(await untilEnded(handleOf(jobId))).toBe('CANCELLED');
  expect(script.runs(subject).every(({ endedAt }) => endedAt !== null)).toBe(true);
});

test('U2: a job that waits, or is tried again, is cancelled at once', async () => {
  const waiting = script.subject(() => ({
    postponedUntil: new Date(Date.now() + 3_600_000).toISOString(),
    reason: '',
  }));
  const failing = script.subject(() => Promise.reject(new Error('not yet')));
  const repository = newRepository();
  const ids = await Promise.all([waiting, failing].map((subject) => submit(repository, subject)));
  await Promise.all([untilBegun(waiting), untilBegun(failing, 2)]);
  const startedAt = Date.now();
  expect(await Promise.all(ids.map((id) => control().cancel(id)))).toEqual([true, true]);
  expect(Date.now() - startedAt).toBeLessThan(3_000);
});

test('U2: all jobs of a repository are cancelled, those that start meanwhile too, and none of another or of its removal', async () => {
  const [repository, other] = [newRepository(), newRepository()];
  const late = script.subject(untilBrokenOff);
  const early = script.subject(async (run) => {
    await untilBrokenOff(run).catch(() => submit({ ...repository, path: 'acme/renamed' }, late));
    return DONE;
  });
  const { opened, open } = gate();
  const [others, removal] = [
    script.subject(() => opened.then(() => DONE)),
    script.subject(() => opened.then(() => DONE)),
  ];
  await Promise.all([
    submit(repository, early),
    submit(other, others),
    submit(repository, removal, 'destroyRepository'),
  ]);
  await Promise.all([early, others, removal].map((subject) => untilBegun(subject)));
  await eventually(async () => {
    expect(await keptOf(repository.id)).toHaveLength(2);
  });
  expect(await control().cancelAllOf(repository.id)).toBeGreaterThanOrEqual(1);
  for (const subject of [early, late]) {
    expect(await untilEnded(handleOf(`reindex_search/repo/${subject}`))).not.toBe('RUNNING');
    expect(script.runs(subject).every(({ endedAt }) => endedAt !== null)).toBe(true);
  }
  for (const id of [`reindex_search/repo/${others}`, `destroyRepository/repo/${removal}`])
    expect((await handleOf(id).describe()).status.name).toBe('RUNNING');
  open();
});

test('U2: nothing is kept of the jobs of a repository, however they ended, but of its removal', async () => {
  const [repository, other] = [newRepository(), newRepository()];
  const done = script.subject(() => DONE);
  const active = script.subject(untilBrokenOff);
  const kept = await submit(
    other,
    script.subject(() => DONE),
  );
  const removal = await submit(
    repository,
    script.subject(() => DONE),
    'destroyRepository',
  );
  for (let time = 0; time < 3; time++) await handleOf(await submit(repository, done)).result();
  await Promise.all([handleOf(kept).result(), handleOf(removal).result()]);
  await submit(repository, active);
  await untilBegun(active);
  await eventually(async () => {
    expect(await keptOf(repository.id)).toHaveLength(5);
  });
  expect(await control().forgetAllOf(repository.id)).toBe(4);
  await eventually(async () => {
    expect(await keptOf(repository.id)).toEqual([removal]);
  }, 60_000);
  await expect(handleOf(`reindex_search/repo/${done}`).describe()).rejects.toThrow(/not found/i);
  expect(await control().forgetAllOf(repository.id)).toBe(0);
  expect(await keptOf(other.id)).toEqual([kept]);
});

test('U2: a job that does not end is told of, and whoever is broken off waits no longer', async () => {
  const { opened, open } = gate();
  const subject = script.subject(() => opened.then(() => DONE));
  const repository = newRepository();
  const jobId = await submit(repository, subject);
  await untilBegun(subject);
  await expect(createJobControl(temporal(), 500).cancel(jobId)).rejects.toThrow(
    `the job ${jobId} did not end within 1 s`,
  );
  const reason = new Error('the worker stops');
  const stop = new AbortController();
  setTimeout(() => {
    stop.abort(reason);
  }, 100);
  await expect(control().cancelAllOf(repository.id, stop.signal)).rejects.toBe(reason);
  open();
  await untilEnded(handleOf(jobId));
});
