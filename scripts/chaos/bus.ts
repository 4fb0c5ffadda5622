import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { withCleanup } from '../bench/cleanup.ts';
import { judge, lawOfLeftovers } from './bus-laws.ts';
import { type BusSize, drawPlan, type LaneChoice } from './bus-plan.ts';
import { playBus } from './bus-run.ts';
import { setBusStage } from './bus-stage.ts';
import { summarize } from './bus-summary.ts';
import { makeHome } from './home.ts';
import { findLeftovers } from './leftovers.ts';
import type { ChaosOptions, ChaosReport } from './report.ts';

const FULL: BusSize = { events: 10_000, kills: 12, listenerCuts: 3, retirements: 3, laneChanges: 30, downMs: 5_000 };
const QUICK: BusSize = { events: 200, kills: 2, listenerCuts: 1, retirements: 0, laneChanges: 6, downMs: 2_500 };

export async function chaosBus({ seed, lane, quick }: ChaosOptions): Promise<ChaosReport> {
  return runBus(seed, quick ? QUICK : FULL, lane);
}

/** Events through the bus while what it stands on is broken, by a plan that is drawn from the seed; and then the laws. */
export async function runBus(seed: number, size: BusSize, lane: LaneChoice): Promise<ChaosReport> {
  const home = makeHome('forgeflow-chaos-');
  const note = (what: string): void => {
    appendFileSync(join(home.path, 'chaos.log'), `${new Date().toISOString()} ${what}\n`);
  };
  const playing = withCleanup(async (cleanup, signal) => {
    cleanup.add(() => {
      if (signal.aborted) home.isWorthKeeping = false;
      home.clear();
    });
    const plan = drawPlan(seed, size, lane);
    const stage = await setBusStage(plan, { home: home.path, cleanup, say: note });
    const run = await playBus(plan, stage, { cleanup, signal, note });
    const laws = judge(run.evidence);
    home.isWorthKeeping = laws.some(({ held }) => !held);
    return { report: { chaos: 'bus', seed, lane, did: summarize(run, stage), laws }, pids: stage.pids() };
  });
  const { report, pids } = await playing.catch((error: unknown) => {
    throw new Error(`it broke down; the logs are in ${home.path}`, { cause: error });
  });
  report.laws.push(lawOfLeftovers(pids, await findLeftovers(pids, home.path)));
  return { ...report, logs: home.isWorthKeeping ? home.path : null };
}
