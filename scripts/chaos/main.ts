import { randomInt } from 'node:crypto';
import { inspect } from 'node:util';
import { chooseRun, type NamedRun } from '../named-runs.ts';
import { type ChaosOptions, type ChaosReport, printReport } from './report.ts';

const RUNS: Record<string, NamedRun<(options: ChaosOptions) => Promise<ChaosReport>>> = {
  bus: {
    summary: 'events by the thousand, while workers, Temporal and Postgres are killed and come back',
    load: async () => (await import('./bus.ts')).chaosBus,
  },
};

const LARGEST_SEED = 2 ** 31 - 1;
const { load, quick, json, seed: given, refuse } = chooseRun({ script: 'chaos', runs: RUNS, takesSeed: true });
const seed = given === undefined ? randomInt(LARGEST_SEED) : readSeed(given);

const run = await load();
try {
  const report = await run({ seed, quick });
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
