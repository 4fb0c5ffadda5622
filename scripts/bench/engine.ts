import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import type { AttemptRequest } from '../../activities/delivery-attempts.ts';
import type { Activities } from '../../activities/index.ts';
import type { Logger } from '../../src/logging.ts';
import { registerSearchAttributes } from '../../src/temporal/search-attributes.ts';
import { FORGEFLOW_QUEUE, TASK_QUEUES } from '../../src/temporal/task-queues.ts';
import { createWorkers, installRuntime, runWorkers } from '../../src/temporal/worker.ts';
import { timesAtOnce } from './at-once.ts';
import type { BareActivities, bareWorkflow } from './bare-workflow.ts';
import { bundleWorkflows } from './bundle.ts';
import type { Cleanup } from './cleanup.ts';
import type { Contender } from './contest.ts';

/** Temporal with forgeflow's own workers, which also know the bench's workflows: one shape for all that is measured. */
export interface Engine {
  /** As forgeflow's client is connected. */
  client: Client;
  /** On the workers' own connection, which eager start needs. */
  connectionOfWorkers: NativeConnection;
  noOps: { made: number };
}

export interface EngineOptions {
  address: string;
  workFolder: string;
  activities: Activities;
  egressConcurrency: number;
  logger: Logger;
}

export async function startEngine(
  { address, workFolder, activities, egressConcurrency, logger }: EngineOptions,
  cleanup: Cleanup,
): Promise<Engine> {
  installRuntime(logger, undefined);
  const clientConnection = await Connection.connect({ address });
  cleanup.add(() => clientConnection.close());
  const client = new Client({ connection: clientConnection });
  await registerSearchAttributes(client);

  const connection = await NativeConnection.connect({ address });
  cleanup.add(() => connection.close());
  const noOps = { made: 0 };
  const bare: BareActivities = {
    noOp() {
      noOps.made += 1;
      return Promise.resolve();
    },
  };
  const workflowsPath = fileURLToPath(new URL('workflows.ts', import.meta.url));
  const workflowBundle = await bundleWorkflows(workflowsPath, { folder: workFolder, logger });
  const workers = await createWorkers({
    connection,
    namespace: 'default',
    queues: TASK_QUEUES,
    egressConcurrency,
    gitConcurrency: 2,
    checksConcurrency: 1,
    graceMs: 1_000,
    workflows: { workflowBundle },
    activities: {
      // Attempts too, for the variant that makes them in the workflows' worker.
      forgeflow: Object.assign(
        { attemptDelivery: (request: AttemptRequest) => activities.egress.attemptDelivery(request) },
        activities.forgeflow,
      ),
      egress: Object.assign(bare, activities.egress),
      gitlab: activities.gitlab,
      git: activities.git,
      checks: activities.checks,
    },
  });
  const running = runWorkers(workers);
  cleanup.add(() => running.stop());
  return { client, connectionOfWorkers: connection, noOps };
}

/**
 * The engine's own limit: workflows of one no-op activity, all started at once, to the end of the last.
 * @param eager whether the worker that starts one gets its first task right away
 */
export function bareEngine(
  { client, connectionOfWorkers, noOps }: Engine,
  { startsAtOnce, eager = false }: { startsAtOnce: number; eager?: boolean },
): Contender {
  const starter = eager ? new Client({ connection: connectionOfWorkers }) : client;
  const name = eager ? 'bare workflow, eager start' : 'bare workflow';
  let started = 0;
  return {
    name,
    scale: 1,
    async run(amount) {
      const before = await completedWorkflows(client);
      noOps.made = 0;
      const start = () =>
        starter.workflow.start<typeof bareWorkflow>('bareWorkflow', {
          taskQueue: FORGEFLOW_QUEUE,
          workflowId: `${name}/${(started += 1)}`,
          requestEagerStart: eager,
        });
      await timesAtOnce(amount, startsAtOnce, start);
      while (noOps.made < amount) await sleep(5);
      await untilCompleted(client, before + amount);
    },
  };
}

/** Asked only at the end of a round, for asking costs the server something too. */
export async function untilCompleted(client: Client, count: number): Promise<void> {
  while ((await completedWorkflows(client)) < count) await sleep(20);
}

export async function completedWorkflows(client: Client): Promise<number> {
  const { count } = await client.workflow.count('ExecutionStatus = "Completed"');
  return count;
}
