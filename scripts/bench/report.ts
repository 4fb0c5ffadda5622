import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import pc from 'picocolors';
import { fields, table } from '../../src/cli/output.ts';

export interface BenchOptions {
  /** A minute at most, with fewer and smaller rounds. */
  quick: boolean;
}

export interface Row {
  what: string;
  value: number;
  unit: string;
  /** What the single rounds gave, where the value is their median. */
  rounds?: number[];
}

export interface Report {
  bench: string;
  rows: Row[];
  ratios: Record<string, number>;
  /** How it was measured, for people. */
  notes: string[];
}

function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round((totalmem() / 1024 ** 3) * 10) / 10,
    node: process.version,
  };
}

/** One JSON line for programs, tables for people. */
export function printReport({ bench, rows, ratios, notes }: Report, { json }: { json: boolean }): void {
  const machine = describeMachine();
  if (json) {
    const plainRows = rows.map(({ what, value, unit }) => ({ what, value: rounded(value), unit }));
    const plainRatios = mapValues(ratios, rounded);
    process.stdout.write(`${JSON.stringify({ bench, machine, rows: plainRows, ratios: plainRatios })}\n`);
    return;
  }
  const load = loadavg()[0]?.toFixed(1) ?? '?';
  const text = [
    pc.bold(`bench: ${bench}`),
    pc.dim(
      `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node}, load average now ${load}`,
    ),
    '',
    table(
      ['what', 'value', 'unit', 'rounds'],
      rows.map(({ what, value, unit, rounds = [] }) => [
        what,
        shown(value),
        unit,
        pc.dim(rounds.map(shown).join('  ')),
      ]),
      'nothing was measured',
    ),
    '',
    pc.bold('ratios'),
    fields(Object.entries(ratios).map(([name, ratio]) => [name, shown(ratio)])),
    '',
    ...notes.map((note) => pc.dim(`· ${note}`)),
  ];
  process.stdout.write(`${text.join('\n')}\n`);
}

/** Three digits say all that such a measurement knows. */
function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

const shown = (value: number): string => String(rounded(value));

function mapValues(record: Record<string, number>, change: (value: number) => number): Record<string, number> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
