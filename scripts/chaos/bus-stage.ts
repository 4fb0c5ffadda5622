import { randomBytes } from 'node:crypto';
import { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import { loadConfig } from '../../src/config.ts';
import type { Cleanup } from '../bench/cleanup.ts';
import { Arrivals } from './arrivals.ts';
import { type BusPlan, SUBSCRIPTIONS, WORKERS } from './bus-plan.ts';
import { Crew } from './crew.ts';
import { startReceiver } from './receiver.ts';
import { type Services, startServices } from './services.ts';

/** All that a run is played with. */
export interface BusStage {
  services: Services;
  arrivals: Arrivals;
  forgeflow: ForgeflowClient;
  crew: Crew;
  /** Every process there has been so far. */
  pids(): number[];
}

/** Few enough for lane `auto` to go express and back all the time: publishing is at most some hundred events ahead. */
const EXPRESS_BACKLOG = '20';

/** Postgres, Temporal, a receiver with its subscriptions, and workers that are coming up. */
export async function setBusStage(
  { lanes }: BusPlan,
  { home, cleanup, say }: { home: string; cleanup: Cleanup; say: (message: string) => void },
): Promise<BusStage> {
  const arrivals = new Arrivals();
  const services = await startServices(home, cleanup, say);
  const receiver = await cleanup.start(() =>
    startReceiver((webhooks) => {
      arrivals.note(webhooks);
    }),
  );
  const variables = {
    DATABASE_URL: services.databaseUrl,
    TEMPORAL_ADDRESS: services.temporalAddress,
    SECRETS_KEY: randomBytes(32).toString('base64'),
    DELIVERY_ALLOWED_NETWORKS: '127.0.0.0/8',
    EXPRESS_BACKLOG,
  };
  const forgeflow = await ForgeflowClient.connect(loadConfig(variables, home));
  cleanup.add(() => forgeflow.close());
  for (const [name, patterns] of Object.entries(SUBSCRIPTIONS)) {
    await forgeflow.subscriptions.add({ name, url: receiver.urlFor(name), patterns, lane: lanes[name] });
  }
  const crew = new Crew({ workers: WORKERS, variables, home });
  cleanup.add(() => crew.end());
  return {
    services,
    arrivals,
    forgeflow,
    crew,
    pids: () => [...services.pids, receiver.pid, ...crew.pids],
  };
}
