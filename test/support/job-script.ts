import { Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { JobDone, JobOutcome } from '../../activities/job-context.ts';
import type { JobKind } from '../../src/domain/job-kinds.ts';
import type { JobPayload } from '../../src/domain/job.ts';
import { eventually } from './eventually.ts';
import { type JobWorkersOptions, subjectOf } from './job-workers.ts';

/** An attempt at a job, as its handler sees it. */
export interface JobRun {
  kind: JobKind;
  payload: JobPayload;
  /** From 1, of all that there were of this subject. */
  number: number;
  /** From 1, as Temporal counts those of one run. */
  attempt: number;
  startedAt: number;
  endedAt: number | null;
  signal: AbortSignal;
}

/** What a job does, or does not get done. */
export type Deed = (run: JobRun) => JobOutcome | Promise<JobOutcome>;

/** Jobs of one process that do what a test has written down for their subject, and the record of what they did. */
export interface JobScript {
  handle: JobWorkersOptions['handle'];
  /** @returns the id of a subject of its own */
  subject(deed: Deed): number;
  /** The attempts at jobs of that subject, in the order of their beginnings. */
  runs(subject: number): JobRun[];
}

export const DONE: JobOutcome = { summary: 'done' };

export function jobScript(): JobScript {
  const deeds = new Map<number, Deed>();
  const records = new Map<number, JobRun[]>();
  const runs = (subject: number): JobRun[] => records.get(subject) ?? [];
  return {
    subject(deed) {
      const id = deeds.size + 1;
      deeds.set(id, deed);
      records.set(id, []);
      return id;
    },
    runs,
    async handle(kind, payload, { signal }) {
      const subject = subjectOf(payload);
      const { attempt } = Context.current().info;
      const number = runs(subject).length + 1;
      const run: JobRun = { kind, payload, number, attempt, startedAt: Date.now(), endedAt: null, signal };
      runs(subject).push(run);
      try {
        return (await deeds.get(subject)?.(run)) ?? DONE;
      } finally {
        run.endedAt = Date.now();
      }
    },
  };
}

/** Something to wait for until somebody opens it. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

export type JobHandle = WorkflowHandle<(payload?: unknown) => Promise<JobDone>>;

/** Waits until no workflow is active under that id. */
export async function untilEnded(handle: WorkflowHandle): Promise<string> {
  return eventually(async () => {
    const { status } = await handle.describe();
    if (status.name === 'RUNNING' || status.name === 'CONTINUED_AS_NEW') throw new Error('the job is still active');
    return status.name;
  });
}
