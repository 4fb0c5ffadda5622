import { parseArgs } from 'node:util';

/** A program of many under one npm script: `npm run bench -- NAME`. */
export interface NamedRun<Run> {
  summary: string;
  /** Loaded when it is asked for: each brings much along. */
  load: () => Promise<Run>;
}

export interface Program<Run> {
  /** As in `npm run bench`. */
  script: string;
  runs: Record<string, NamedRun<Run>>;
  /** What it takes besides `--quick` and `--json`: options with values, and what these look like in the usage. */
  takes?: Record<string, string>;
}

export interface Choice<Run> {
  load: () => Promise<Run>;
  quick: boolean;
  json: boolean;
  /** Those of `takes` that were given. */
  given: Record<string, string | undefined>;
  /** Says what is wrong with the arguments, and how they are meant; ends the process with 2. */
  refuse: (problem: string) => never;
}

/** Reads from the command line which run is wanted, and how. */
export function chooseRun<Run>({ script, runs, takes = {} }: Program<Run>): Choice<Run> {
  const taken = Object.entries(takes).map(([option, value]) => ` [--${option} ${value}]`);
  const usage = [
    `usage: npm run ${script} -- NAME${taken.join('')} [--quick] [--json]`,
    ...Object.entries(runs).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`),
  ].join('\n');

  function refuse(problem: string): never {
    process.stderr.write(`${problem}\n${usage}\n`);
    process.exit(2);
  }

  const { positionals, quick, json, given } = readArguments(Object.keys(takes), refuse);
  const [name, ...more] = positionals;
  if (name === undefined) refuse(`which ${script}?`);
  const run = Object.hasOwn(runs, name) ? runs[name] : undefined;
  if (run === undefined) refuse(`there is no ${script} "${name}"`);
  if (more.length > 0) refuse(`one at a time, please: ${more.join(' ')} is too much`);
  return { load: run.load, quick, json, given, refuse };
}

function readArguments(taken: string[], refuse: (problem: string) => never) {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: {
        ...Object.fromEntries(taken.map((option) => [option, { type: 'string' as const }])),
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const { quick, json, ...given } = values;
    return { positionals, quick, json, given };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : 'these arguments make no sense');
  }
}
