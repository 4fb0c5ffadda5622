import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { JOB_KINDS, type JobKind } from '../../src/domain/job-kinds.ts';
import type { RunningWorkers } from '../../src/temporal/worker.ts';
import { type Environment, startEnvironment } from '../support/environment.ts';
import { DONE, gate, type JobHandle, jobScript } from '../support/job-script.ts';
import { startJobWorkers, subjectOf } from '../support/job-workers.ts';

const GIT_CONCURRENCY = 2;

let environment: Environment;
let workers: RunningWorkers;
const script = jobScript();
beforeAll(async () => {
  environment = await startEnvironment({ withoutWorkers: true });
  workers = await startJobWorkers(environment.config, {
    workflowBundle: inject('workflowBundle'),
    handle: script.handle,
    gitConcurrency: GIT_CONCURRENCY,
  });
});
afterAll(async () => {
  await workers.stop();
  await environment.stop();
});

async function start(kind: JobKind, subject: number): Promise<JobHandle> {
  const payload = { [JOB_KINDS[kind].about === 'repository' ? 'repositoryId' : 'mergeRequestId']: subject };
  const { jobId } = await environment.forgeflow.enqueue(kind, payload);
  return environment.forgeflow.temporal.workflow.getHandle(jobId);
}

test('J5: so many jobs with a clone at once as GIT_CONCURRENCY says; others are not blocked by them, and the urgent go first', async () => {
  const { opened, open } = gate();
  const begun: number[] = [];
  let active = 0;
  let most = 0;
  const slow = Array.from({ length: 5 }, () =>
    script.subject(async ({ payload }) => {
      begun.push(subjectOf(payload));
      most = Math.max(most, (active += 1));
      await opened;
      active -= 1;
      return DONE;
    }),
  );
  const handles = await Promise.all(slow.map((subject) => start('reindex_search', subject)));
  await expect.poll(() => begun.length, { timeout: 10_000 }).toBe(GIT_CONCURRENCY);

  // Those that ask GitLab have a queue of their own.
  const quick = ['recompute_review_decision', 'sync_merge_requests'] as const;
  const begunAt = Date.now();
  for (const kind of quick)
    await (
      await start(
        kind,
        script.subject(() => DONE),
      )
    ).result();
  expect(Date.now() - begunAt).toBeLessThan(5_000);
  expect(begun.length).toBe(GIT_CONCURRENCY);

  const urgent = script.subject(({ payload }) => {
    begun.push('mergeRequestId' in payload ? payload.mergeRequestId : Number.NaN);
    return DONE;
  });
  handles.push(await start('recompute_mergeability', urgent));
  await sleep(500); // until it stands in line, behind those that came before
  open();
  await Promise.all(handles.map((handle) => handle.result()));
  expect(most).toBe(GIT_CONCURRENCY);
  expect(begun.indexOf(urgent)).toBeLessThanOrEqual(GIT_CONCURRENCY + 1);
  expect(begun.length).toBe(slow.length + 1);
});
