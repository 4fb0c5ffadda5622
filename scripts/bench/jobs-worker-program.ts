// A worker of either queue in a process of its own, to be killed. Its settings are its argument; see jobs-worker.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import { Logger, run } from 'graphile-worker';
import type { Activities } from '../../activities/index.ts';
import { createJobs, type JobHandlers } from '../../activities/jobs.ts';
import { JOB_KINDS } from '../../src/domain/job-kinds.ts';
import type { JobPayload } from '../../src/domain/job.ts';
import { createLogger } from '../../src/logging.ts';
import { FORGEFLOW_QUEUE, GIT_QUEUE } from '../../src/temporal/task-queues.ts';
import { createWorkers, installRuntime, runWorkers } from '../../src/temporal/worker.ts';
import { SHORT_MS, type WorkerSettings, type WorkerWord, workOf } from './jobs-work.ts';

const settings = JSON.parse(process.argv[2] ?? '') as WorkerSettings;
const say = (word: WorkerWord): void => void process.send?.(word);

async function work(job: number): Promise<void> {
  if (workOf(job) === 'trivial') return;
  say({ kind: 'begun', job, at: Date.now() });
  if (workOf(job) === 'short') await sleep(SHORT_MS);
  else await new Promise(() => undefined);
}

async function startForgeflow({ temporalAddress, workflowBundle, concurrency }: WorkerSettings): Promise<void> {
  installRuntime(createLogger('error'), undefined);
  const handle = async (payload: JobPayload) => {
    await work('repositoryId' in payload ? payload.repositoryId : 0);
    return { summary: 'done' };
  };
  const handlers = Object.fromEntries(Object.keys(JOB_KINDS).map((kind) => [kind, handle])) as unknown as JobHandlers;
  const workers = await createWorkers({
    connection: await NativeConnection.connect({ address: temporalAddress }),
    namespace: 'default',
    activities: { egress: {}, ...createJobs(handlers) } as unknown as Activities,
    queues: [FORGEFLOW_QUEUE, GIT_QUEUE],
    egressConcurrency: 1,
    gitConcurrency: concurrency,
    checksConcurrency: 1,
    graceMs: 500,
    workflows: { workflowBundle: { codePath: workflowBundle } },
  });
  void runWorkers(workers);
}

async function startGraphileWorker({ databaseUrl, concurrency }: WorkerSettings): Promise<void> {
  const runner = await run({
    connectionString: databaseUrl,
    concurrency,
    maxPoolSize: concurrency + 5,
    noHandleSignals: true,
    parsedCronItems: [],
    taskList: { job: (payload) => work((payload as { job: number }).job) },
    logger: new Logger(() => () => undefined),
  });
  let done: number[] = [];
  // It comes when the end of the job is in the database. Told of in lots, so that the telling is not what is measured.
  runner.events.on('job:complete', ({ job }) => {
    done.push((job.payload as { job: number }).job);
    if (done.length > 1) return;
    setImmediate(() => {
      say({ kind: 'done', jobs: done });
      done = [];
    });
  });
}

process.on('disconnect', () => process.exit());
process.on('SIGINT', () => undefined); // Ctrl-C is the parent's to handle
await (settings.queue === 'forgeflow' ? startForgeflow(settings) : startGraphileWorker(settings));
say({ kind: 'at work' });
