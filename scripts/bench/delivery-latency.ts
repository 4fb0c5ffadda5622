import { say } from './console.ts';
import type { Courier } from './courier.ts';
import type { DeliveryStage } from './delivery-stage.ts';
import { forgeflowCourier } from './forgeflow-courier.ts';
import { graphileWorkerCourier, recordingGraphileWorkerCourier } from './graphile-worker-courier.ts';
import { loadPhase } from './load-phase.ts';
import { newDatabase } from './new-database.ts';
import { percentile } from './statistics.ts';

export interface LatencyOptions {
  /** Events a second. */
  rate: number;
  forMs: number;
  rounds: number;
  concurrency: number;
  signal: AbortSignal;
}

/** From publishing to the receiver, in ms. */
export interface Latency {
  name: string;
  /** Of the rounds. */
  p50: number[];
  p99: number[];
}

/** How long events take that are published evenly, in turns: of the express lane, of graphile-worker, and of that with records. */
export async function measureLatency(stage: DeliveryStage, options: LatencyOptions): Promise<Latency[]> {
  const { rate, forMs, rounds, concurrency, signal } = options;
  const { forgeflow, databaseUrl, sender, receivers } = stage;
  const express = forgeflowCourier({ forgeflow, name: 'express lane', laneOf: () => 'express' });
  // Each in a database of its own: one that comes up with a new schema ends those of older ones.
  const ofPeer = async () => ({ databaseUrl: await newDatabase(databaseUrl, 'latency'), sender, concurrency });
  const peers = [graphileWorkerCourier(await ofPeer()), recordingGraphileWorkerCourier(await ofPeer())];
  const couriers = [express, ...peers].map(keptOpen);
  const load = { endpoints: 1, healthy: 1, everyMs: 1_000 / rate, patienceMs: 10_000 };
  const latencies = couriers.map(({ name }): Latency => ({ name, p50: [], p99: [] }));
  try {
    for (const courier of couriers) await loadPhase(courier, { receivers, signal }, { ...load, forMs: forMs / 4 });
    for (let round = 1; round <= rounds; round += 1) {
      say(`latency at ${rate.toFixed(0)}/s, round ${round} of ${rounds}`);
      const turns = [...couriers.entries()];
      for (const [at, courier] of round % 2 === 1 ? turns : turns.reverse()) {
        const { samples } = await loadPhase(courier, { receivers, signal }, { ...load, forMs });
        if (!samples.every(({ came }) => came)) throw new Error(`not all that ${courier.name} was given has come`);
        const times = samples.map(({ latencyMs }) => latencyMs);
        latencies[at]?.p50.push(percentile(times, 0.5));
        latencies[at]?.p99.push(percentile(times, 0.99));
      }
    }
  } finally {
    for (const courier of couriers) await courier.close();
  }
  return latencies;
}

/** One line for all phases: the first requests of a new one are another matter. */
function keptOpen(courier: Courier): Courier & { close: () => Promise<void> } {
  let line: ReturnType<Courier['open']> | undefined;
  return {
    name: courier.name,
    async open(urls) {
      line ??= courier.open(urls);
      return { ...(await line), hasGivenUp: () => Promise.resolve(false), close: () => Promise.resolve() };
    },
    async close() {
      await (await line)?.close();
    },
  };
}
