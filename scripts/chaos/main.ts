import { randomInt } from 'node:crypto';
import { inspect } from 'node:util';
import { chooseRun, type NamedRun } from '../named-runs.ts';
import { LANE_CHOICES, type LaneChoice } from './bus-plan.ts';
import { type ChaosOptions, type ChaosReport, printReport } from './report.ts';

const RUNS: Record<string, NamedRun<(options: ChaosOptions) => Promise<ChaosReport>>> = {
  bus: {
    summary: 'events by the thousand, while workers, Temporal and Postgres are killed and come back',
    load: async () => (await import('./bus.ts')).chaosBus,
  },
};

const LARGEST_SEED = 2 ** 31 - 1;
const takes = { seed: 'N', lane: LANE_CHOICES.join('|') };
const { load, quick, json, given, refuse } = chooseRun({ script: 'chaos', runs: RUNS, takes });
const seed = given['seed'] === undefined ? randomInt(LARGEST_SEED) : readSeed(given['seed']);
const lane = readLane(given['lane'] ?? 'mixed');

const run = await load();
try {
  const report = await run({ seed, lane, quick });
  printReport(report, { json });
  if (!report.laws.every(({ held }) => held)) process.exitCode = 1;
} catch (error) {
  process.stderr.write(`${inspect(error)}\n`);
  process.exitCode = 1;
}

function readSeed(text: string): number {
  const seed = Number(text);
  if (!/^\d+$/.test(text) || seed > LARGEST_SEED) refuse(`--seed takes a whole number up to ${LARGEST_SEED}`);
  return seed;
}

function readLane(text: string): LaneChoice {
  return LANE_CHOICES.find((one) => one === text) ?? refuse(`--lane takes one of ${LANE_CHOICES.join(', ')}`);
}
