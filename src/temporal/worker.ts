import {
  bundleWorkflowCode,
  makeTelemetryFilterString,
  type NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import type { Activities } from '../../activities/index.ts';
import type { Logger } from '../logging.ts';
import { CHECKS_QUEUE, EGRESS_QUEUE, FORGEFLOW_QUEUE, GIT_QUEUE, GITLAB_QUEUE, type TaskQueue } from './task-queues.ts';
import { workflowSource } from './workflow-source.ts';

/** Sets up what all workers of this process share. Before anything else of Temporal's, and once. */
export function installRuntime(logger: Logger, metricsPort: number | undefined): void {
  Runtime.install({
    logger,
    shutdownSignals: [], // whoever runs the workers stops them, in the right order
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) },
      ...(metricsPort === undefined ? {} : { metrics: { prometheus: { bindAddress: `127.0.0.1:${metricsPort}` } } }),
    },
  });
}

/** How many attempts may be waiting for each that may make its request. */
const WAITING_ROOM = 10;

/** Batches of first attempts in hand at once; a few of them may be there for nothing but an endpoint that does not answer. */
const MOST_BATCHES = 200;

/** Lets a process end in which no connection was made after all; the last connection that closes does it otherwise. */
export async function releaseRuntime(): Promise<void> {
  await Runtime.instance().shutdown();
}

export interface WorkersOptions {
  connection: NativeConnection;
  namespace: string;
  activities: Activities;
  queues: readonly TaskQueue[];
  /** Requests in flight at once. */
  egressConcurrency: number;
  /** Jobs with a clone in hand at once. */
  gitConcurrency: number;
  /** Checks that run at once. */
  checksConcurrency: number;
  /** How long a shutdown waits for attempts in flight, in ms. */
  graceMs: number;
  /** Where the workflows' code comes from, if not from {@link workflowSource}. */
  workflows?: ReturnType<typeof workflowSource> | undefined;
}

/** One worker for each task queue. */
export async function createWorkers(options: WorkersOptions): Promise<Worker[]> {
  const { connection, namespace, activities, queues, egressConcurrency, gitConcurrency, checksConcurrency, graceMs } =
    options;
  const workflows = await bundledOnce(options.workflows ?? workflowSource());
  const shared = { connection, namespace, shutdownGraceTime: graceMs };
  const byQueue: Record<TaskQueue, Partial<WorkerOptions>> = {
    [FORGEFLOW_QUEUE]: {
      ...workflows,
      activities: activities.forgeflow,
      // The default follows the machine's memory and can be too small for a burst; then histories are read again and again.
      maxCachedWorkflows: 1_000,
    },
    // More attempts than requests: the gate in front of the sender bounds those, and attempts that wait there for one
    // subscription must not keep those of others from coming in.
    [EGRESS_QUEUE]: {
      ...workflows,
      activities: activities.egress,
      maxConcurrentActivityTaskExecutions: egressConcurrency * WAITING_ROOM,
      // A batch keeps its workflow task until the last of its attempts has ended.
      maxConcurrentWorkflowTaskExecutions: MOST_BATCHES,
      maxConcurrentLocalActivityExecutions: MOST_BATCHES,
      maxCachedWorkflows: 2 * MOST_BATCHES,
      workflowThreadPoolSize: 1,
    },
    // The installer bounds its requests itself, and jobs make few.
    [GITLAB_QUEUE]: { activities: activities.gitlab, maxConcurrentActivityTaskExecutions: 10 },
    [GIT_QUEUE]: { activities: activities.git, maxConcurrentActivityTaskExecutions: gitConcurrency },
    [CHECKS_QUEUE]: { activities: activities.checks, maxConcurrentActivityTaskExecutions: checksConcurrency },
  };
  return Promise.all(queues.map((taskQueue) => Worker.create({ ...shared, taskQueue, ...byQueue[taskQueue] })));
}

/** Bundling takes seconds: from sources it is done once for all workers of the process. */
async function bundledOnce(source: ReturnType<typeof workflowSource>) {
  if ('workflowBundle' in source) return source;
  return { workflowBundle: await bundleWorkflowCode({ ...source, logger: Runtime.instance().logger }) };
}

/** Workers at work. */
export interface RunningWorkers {
  /** Settles when all have ended; rejects when one broke down. */
  done: Promise<void>;
  /** Takes nothing new and lets attempts in flight end, within the grace time. */
  stop(): Promise<void>;
}

export function runWorkers(workers: Worker[]): RunningWorkers {
  const stopAll = (): void => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  // One that breaks down takes the others with it: half a process would look healthy.
  const runs = workers.map((worker) => worker.run().finally(stopAll));
  const done = Promise.all(runs).then(() => undefined);
  done.catch(() => undefined); // seen by whoever waits for it
  return {
    done,
    async stop() {
      stopAll();
      await Promise.allSettled(runs);
    },
  };
}
