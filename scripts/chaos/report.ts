import pc from 'picocolors';
import { fields } from '../../src/cli/output.ts';
import type { LaneChoice } from './bus-plan.ts';

export interface ChaosOptions {
  /** Every choice that is left to chance follows from it. */
  seed: number;
  /** How the first attempts of its deliveries go out. */
  lane: LaneChoice;
  /** A minute at most, with less of everything. */
  quick: boolean;
}

/** What must hold whatever was broken. */
export interface Law {
  law: string;
  held: boolean;
  detail: string;
}

export interface ChaosReport {
  chaos: string;
  seed: number;
  lane: LaneChoice;
  /** What was done, and what it came to. */
  did: Record<string, number>;
  laws: Law[];
  /** Where the logs were kept; null when all laws held, and there is nothing to look for. */
  logs: string | null;
}

/** One JSON line for programs, lists for people. */
export function printReport({ chaos, seed, lane, did, laws, logs }: ChaosReport, { json }: { json: boolean }): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ chaos, seed, lane, did, laws })}\n`);
    return;
  }
  const text = [
    pc.bold(`chaos: ${chaos}, seed ${seed}, ${lane === 'mixed' ? 'lanes mixed' : `lane ${lane}`}`),
    fields(Object.entries(did).map(([name, value]) => [inWords(name), String(value)])),
    '',
    ...laws.map(({ law, held, detail }) => `${held ? pc.green('held  ') : pc.red('broken')} ${law}: ${detail}`),
    ...(logs === null ? [] : ['', `the logs are in ${logs}`]),
  ];
  process.stdout.write(`${text.join('\n')}\n`);
}

/** `workersKilled` → `workers killed` */
function inWords(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
