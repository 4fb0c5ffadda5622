import { Client } from '@temporalio/client';
import { startRelay } from '../../src/bus/relay.ts';
import type { ForgeflowDatabase } from '../../src/database/connection.ts';
import type { OpenBatches } from '../../src/egress/open-batches.ts';
import type { Logger } from '../../src/logging.ts';
import type { Cleanup } from './cleanup.ts';
import type { Engine } from './engine.ts';

export interface Variant {
  name: string;
  /** A workflow of the bench instead of `deliverWebhook`. */
  workflowType?: string;
  /** Their first task goes through Temporal's queue, instead of right to the worker that starts them. */
  lazyStart?: boolean;
}

/** How the relay starts workflows just now. */
export interface Starts {
  variant: Variant;
}

interface RelayOptions {
  db: ForgeflowDatabase;
  databaseUrl: string;
  engine: Engine;
  logger: Logger;
  openBatches: OpenBatches;
}

/** forgeflow's own relay. A variant changes its starts on their way out, so that all the rest is the product's code. */
export function runRelay(variant: Variant, { engine, ...options }: RelayOptions, cleanup: Cleanup): Starts {
  const starts: Starts = { variant };
  const temporal = new Client({
    connection: engine.connectionOfWorkers,
    interceptors: {
      workflow: [
        {
          startWithDetails: (input, next) =>
            next({
              ...input,
              workflowType: starts.variant.workflowType ?? input.workflowType,
              options: { ...input.options, ...(starts.variant.lazyStart ? { requestEagerStart: false } : {}) },
            }),
        },
      ],
    },
  });
  const relay = startRelay({ ...options, temporal, expressBacklog: 100, workerName: 'bench', onStop: () => undefined });
  cleanup.add(() => relay.stop());
  return starts;
}
