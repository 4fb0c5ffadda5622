import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { ForgeflowClient } from '../../src/client/forgeflow-client.ts';
import type { Lane } from '../../src/domain/lane.ts';
import type { Fault } from './bus-plan.ts';
import type { Crew } from './crew.ts';
import { despiteOutages } from './despite-outages.ts';
import type { Services } from './services.ts';

export interface FaultsOptions {
  faults: Fault[];
  crew: Crew;
  services: Services;
  forgeflow: ForgeflowClient;
  /** The share of the deliveries that has arrived, 0 to 1. */
  progress: () => number;
  /** Told what is done, when it is done. */
  note: (what: string) => void;
  signal: AbortSignal;
}

export interface FaultsDone {
  temporalRestarts: number;
  postgresRestarts: number;
  /** Connections that listened and were cut. */
  listenersCut: number;
  laneChanges: number;
}

/** Does to the others what the plan says, each when it is due. Those who replace what was killed may still be coming up. */
export async function carryOut(options: FaultsOptions): Promise<FaultsDone> {
  const { faults, crew, services, forgeflow, progress, note, signal } = options;
  const done: FaultsDone = { temporalRestarts: 0, postgresRestarts: 0, listenersCut: 0, laneChanges: 0 };

  async function inflict({ at, delayMs, what }: Fault): Promise<void> {
    while (progress() < at) {
      if (signal.aborted) return;
      await sleep(20);
    }
    await sleep(delayMs);
    if (signal.aborted) return;
    note(JSON.stringify(what));
    switch (what.kind) {
      case 'kill':
        return crew.kill(what.worker, what.pauseMs);
      case 'retire':
        return crew.retire(what.worker, what.pauseMs);
      case 'restartTemporal':
        await services.killTemporal();
        await sleep(what.downMs);
        await services.startTemporal();
        done.temporalRestarts += 1;
        break;
      case 'restartPostgres':
        await services.stopPostgres();
        await sleep(what.downMs);
        await services.startPostgres();
        done.postgresRestarts += 1;
        break;
      case 'cutListeners':
        done.listenersCut += await cutListeners(services.databaseUrl);
        break;
      case 'changeLane':
        await despiteOutages(() => changeLane(what.subscription, what.lane), signal);
    }
    note(`done: ${JSON.stringify(what)}`);
  }

  async function changeLane(subscription: string, lane: Lane): Promise<void> {
    const before = await forgeflow.subscriptions.show(subscription);
    if (before.lane === lane) return;
    await forgeflow.subscriptions.update(subscription, { lane });
    done.laneChanges += 1;
  }

  await Promise.all(faults.map(inflict));
  return done;
}

/** @returns how many there were; none while Postgres is away, which cuts them anyway */
async function cutListeners(databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'forgeflow relay'`,
    );
    return rowCount ?? 0;
  } catch {
    return 0;
  } finally {
    await client.end().catch(() => undefined);
  }
}
