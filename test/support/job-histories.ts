import { permanentFailure } from '../../activities/failures.ts';
import type { ForgeflowClient } from '../../src/index.ts';
import { fastForward } from '../../src/dev/fast-forward.ts';
import { jobStatusQuery } from '../../workflows/messages.ts';
import { eventually } from './eventually.ts';
import { DONE, gate, type JobHandle, type JobScript, untilEnded } from './job-script.ts';

export interface JobStage {
  forgeflow: ForgeflowClient;
  script: JobScript;
}

interface Execution {
  workflowId: string;
  runId?: string;
}

const HOUR = 3_600_000;

/** Each makes the workflow of a job and brings it to its end. */
export const jobScenarios: Record<string, (stage: JobStage) => Promise<Execution>> = {
  async 'job-once'(stage) {
    const handle = await submit(
      stage,
      stage.script.subject(() => ({ summary: 'done', files: 7 })),
    );
    await untilEnded(handle);
    return handle;
  },
  async 'job-run-again'(stage) {
    const { script } = stage;
    const { opened, open } = gate();
    const newest = script.subject(() => DONE);
    const subject = script.subject(() => opened.then(() => DONE));
    const handle = await submit(stage, subject, 'again');
    await untilBegun(script, subject);
    await submit(stage, subject, 'again');
    await submit(stage, newest, 'again');
    open();
    await untilEnded(handle);
    return handle;
  },
  async 'job-dead'(stage) {
    const { forgeflow, script } = stage;
    const subject = script.subject(({ attempt }) => {
      if (attempt === 5) throw permanentFailure('GitLab has no such repository');
      throw new Error('GitLab did not answer');
    });
    const handle = await submit(stage, subject);
    await untilBegun(script, subject);
    await fastForward(forgeflow.temporal, handle.workflowId, HOUR);
    await untilEnded(handle);
    return handle;
  },
  async 'job-postponed'(stage) {
    const postponed = {
      postponedUntil: new Date(Date.now() + HOUR).toISOString(),
      reason: 'the rate limit is used up',
    };
    const subject = stage.script.subject(({ number }) => (number === 1 ? postponed : DONE));
    const handle = await submit(stage, subject);
    await eventually(async () => {
      if ((await handle.query(jobStatusQuery)).waitsUntil === null) throw new Error('it does not wait');
    });
    await submit(stage, subject);
    await fastForward(stage.forgeflow.temporal, handle.workflowId, HOUR);
    await untilEnded(handle);
    return handle;
  },
  async 'job-held-and-woken'(stage) {
    const held = {
      postponedUntil: new Date(Date.now() + HOUR).toISOString(),
      reason: 'its commit is not there yet',
      wakesWhenAsked: true,
    };
    const subject = stage.script.subject(({ number }) => (number < 3 ? held : DONE));
    const handle = await submit(stage, subject);
    await untilItWaits(handle, 1);
    await submit(stage, subject); // wakes it
    await untilItWaits(handle, 2);
    await fastForward(stage.forgeflow.temporal, handle.workflowId, HOUR); // and now nobody does
    await untilEnded(handle);
    return handle;
  },
  async 'job-continued-as-new'(stage) {
    const { forgeflow, script } = stage;
    const subject = script.subject(async ({ number }) => {
      if (number < 12) await submit(stage, subject);
      return DONE;
    });
    const handle = await submit(stage, subject);
    const { runId } = await handle.describe(); // the first
    await untilEnded(forgeflow.temporal.workflow.getHandle(handle.workflowId));
    return { workflowId: handle.workflowId, runId };
  },
  async 'job-cancelled-and-asked-for'(stage) {
    const { script } = stage;
    const { opened, open } = gate();
    const subject = script.subject(({ signal }) => opened.then(() => (signal.throwIfAborted(), DONE)));
    const handle = await submit(stage, subject);
    const { runId } = await handle.describe();
    await untilBegun(script, subject);
    await handle.cancel();
    await submit(stage, subject);
    await eventually(async () => {
      if (!script.runs(subject)[0]?.signal.aborted) throw new Error('it has not heard of it');
      return Promise.resolve();
    });
    open();
    await untilEnded(handle);
    return { workflowId: handle.workflowId, runId };
  },
};

async function submit({ forgeflow }: JobStage, repositoryId: number, key?: string): Promise<JobHandle> {
  const { jobId } = await forgeflow.enqueue('reindex_search', { repositoryId }, key);
  return forgeflow.temporal.workflow.getHandle(jobId);
}

async function untilItWaits(handle: JobHandle, run: number): Promise<void> {
  await eventually(async () => {
    const { runs, waitsUntil } = await handle.query(jobStatusQuery);
    if (runs !== run || waitsUntil === null) throw new Error('it does not wait');
  });
}

async function untilBegun(script: JobScript, subject: number): Promise<void> {
  await eventually(() =>
    script.runs(subject).length > 0 ? Promise.resolve() : Promise.reject(new Error('it has not begun')),
  );
}
