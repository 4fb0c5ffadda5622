import type { Activities } from '../../activities/index.ts';
import type { JobContext, JobOutcome } from '../../activities/job-context.ts';
import { createJobs, type JobHandlers } from '../../activities/jobs.ts';
import type { Config } from '../../src/config.ts';
import { JOB_KINDS, type JobKind } from '../../src/domain/job-kinds.ts';
import type { JobPayload } from '../../src/domain/job.ts';
import { FORGEFLOW_QUEUE, GIT_QUEUE, GITLAB_QUEUE } from '../../src/temporal/task-queues.ts';
import { createWorkers, type RunningWorkers, runWorkers } from '../../src/temporal/worker.ts';
import { connectWorkers } from '../../src/temporal/worker-connection.ts';
import { ensureRuntime } from './runtime.ts';

export interface JobWorkersOptions {
  workflowBundle: string;
  /** Does the jobs of all kinds. */
  handle: (kind: JobKind, payload: JobPayload, context: JobContext) => Promise<JobOutcome>;
  gitConcurrency?: number;
  graceMs?: number;
}

/** Workers in this process that know nothing but jobs, whose handlers do what a test wants. */
export async function startJobWorkers(
  config: Config,
  { workflowBundle, handle, gitConcurrency = 2, graceMs = 500 }: JobWorkersOptions,
): Promise<RunningWorkers> {
  ensureRuntime();
  const { connection, namespace } = await connectWorkers(config);
  const handlers = Object.fromEntries(
    (Object.keys(JOB_KINDS) as JobKind[]).map((kind) => [
      kind,
      (payload: JobPayload, context: JobContext) => handle(kind, payload, context),
    ]),
  ) as unknown as JobHandlers;
  const workers = await createWorkers({
    connection,
    namespace,
    activities: { egress: {}, ...createJobs(handlers) } as unknown as Activities,
    queues: [FORGEFLOW_QUEUE, GIT_QUEUE, GITLAB_QUEUE],
    egressConcurrency: 1,
    gitConcurrency,
    checksConcurrency: 1,
    graceMs,
    workflows: { workflowBundle: { codePath: workflowBundle } },
  });
  const running = runWorkers(workers);
  return {
    done: running.done,
    async stop() {
      await running.stop();
      await connection.close();
    },
  };
}

/** Our id of what a job is about. */
export function subjectOf(payload: JobPayload): number {
  const id: unknown = Object.values(payload).find((value) => typeof value === 'number');
  return Number(id);
}
