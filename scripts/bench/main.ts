import { parseArgs } from 'node:util';
import { type BenchOptions, printReport, type Report } from './report.ts';

interface Bench {
  summary: string;
  /** Loaded when it is asked for: each bench brings much along. */
  load: () => Promise<(options: BenchOptions) => Promise<Report>>;
}

const BENCHES: Record<string, Bench> = {
  delivery: {
    summary: 'deliveries/s to a receiver, beside the bare engine, graphile-worker and pg-boss',
    load: async () => (await import('./delivery.ts')).benchDelivery,
  },
};

const USAGE = [
  'usage: npm run bench -- NAME [--quick] [--json]',
  ...Object.entries(BENCHES).map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`),
].join('\n');

function usageError(problem: string): never {
  process.stderr.write(`${problem}\n${USAGE}\n`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
    });
  } catch (error) {
    return usageError(error instanceof Error ? error.message : 'these arguments make no sense');
  }
}

const { positionals, values } = readArguments();
const [name, ...more] = positionals;
if (name === undefined) usageError('which bench?');
const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined;
if (bench === undefined) usageError(`there is no bench "${name}"`);
if (more.length > 0) usageError(`one bench at a time, please: ${more.join(' ')} is too much`);

const run = await bench.load();
try {
  printReport(await run({ quick: values.quick }), values);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
