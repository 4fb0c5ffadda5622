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
  /** Whether it takes `--seed` besides `--quick` and `--json`. */
  takesSeed?: boolean;
}

export interface Choice<Run> {
  load: () => Promise<Run>;
  quick: boolean;
  json: boolean;
  seed: string | undefined;
  /** Says what is wrong with the arguments, and how they are meant; ends the process with 2. */
  refuse: (problem: string) => never;
}

/** Reads from the command line which run is wanted, and how. */
export function chooseRun<Run>({ script, runs, takesSeed = false }: Program<Run>): Choice<Run> {
  const usage = [
    `usage: npm run ${script} -- NAME${takesSeed ? ' [--seed N]' : ''} [--quick] [--json]`,
    ...Object.entries(runs).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`),
  ].join('\n');

  function refuse(problem: string): never {
    process.stderr.write(`${problem}\n${usage}\n`);
    process.exit(2);
  }

  const { positionals, values } = readArguments(refuse);
  const [name, ...more] = positionals;
  if (name === undefined) refuse(`which ${script}?`);
  const run = Object.hasOwn(runs, name) ? runs[name] : undefined;
  if (run === undefined) refuse(`there is no ${script} "${name}"`);
  if (more.length > 0) refuse(`one at a time, please: ${more.join(' ')} is too much`);
  if (values.seed !== undefined && !takesSeed) refuse(`${script} takes no --seed`);
  return { load: run.load, quick: values.quick, json: values.json, seed: values.seed, refuse };
}

function readArguments(refuse: (problem: string) => never) {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        seed: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : 'these arguments make no sense');
  }
}
