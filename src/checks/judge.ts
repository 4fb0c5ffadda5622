import { constants } from 'node:os';
import { readSarif } from '../domain/sarif.ts';
import { type ChildEnding, LAST_BYTES } from './child.ts';
import type { RunPlaces } from './launch.ts';
import type { CheckLimits } from './limits.ts';
import type { CheckFailure, CheckOutcome, FailedCheck } from './outcome.ts';
import { readResultFile } from './result-file.ts';

/** What we ended a check for. */
export type BreakOff = Extract<
  CheckFailure,
  'timeout' | 'output_limit' | 'memory_limit' | 'process_limit' | 'disk_limit'
>;

export interface Ended {
  brokenOff: BreakOff | null;
  ending: ChildEnding;
  places: RunPlaces;
  limits: CheckLimits;
  /** Takes secrets out of texts; before they are cut, for half a secret is not known again. */
  conceal: (text: string) => string;
}

type Verdict = Pick<FailedCheck, 'failure' | 'reason'>;

/**
 * What a check that is over comes to. It has to end with exit code 0, or with 1, by which most linters say that they have
 * found something, and to have reported that as SARIF: in the file, or printed.
 */
export async function judge(ended: Ended): Promise<CheckOutcome> {
  const { limits, places, ending, conceal } = ended;
  const failed = ({ failure, reason }: Verdict): FailedCheck => ({
    kind: 'failed',
    failure,
    reason: conceal(reason),
    printed: lastOf(conceal(ending.stderr)) || lastOf(conceal(ending.stdout.subarray(-LAST_BYTES).toString())),
  });
  const early = verdictOfEnding(ended);
  if (early !== null) return failed(early);
  const file = await readResultFile(places.result, limits.resultBytes);
  if ('problem' in file && file.problem === 'no_file') {
    return failed({ failure: 'malformed_result', reason: 'put something else in the place of its result file' });
  }
  const isTooLarge = ('problem' in file && file.problem === 'too_large') || ending.stdout.length > limits.resultBytes;
  if (isTooLarge) return failed({ failure: 'output_limit', reason: `reported more than ${limits.resultBytes} bytes` });
  const reported = ('content' in file && file.content) || ending.stdout.toString();
  if (reported.trim() === '' && ending.exitCode !== 0) return failed(exitVerdict(ending.exitCode ?? 0));
  const results = readSarif(reported, { roots: [places.checkout], problemLimit: limits.problems, conceal });
  if ('error' in results) return failed({ failure: 'malformed_result', reason: results.error });
  return { kind: 'completed', ...results };
}

/** Null where its result counts. */
function verdictOfEnding({ brokenOff, ending, limits }: Ended): Verdict | null {
  if (brokenOff !== null) return { failure: brokenOff, reason: LIMIT_REASONS[brokenOff](limits) };
  const signal = ending.signal ?? signalOf(ending.exitCode ?? 0);
  if (signal === 'SIGXCPU') {
    return { failure: 'cpu_limit', reason: `needed more than ${limits.cpuSeconds} s of processor time` };
  }
  if (signal === 'SIGXFSZ') {
    return { failure: 'disk_limit', reason: `wrote a file of more than ${limits.fileBytes} bytes` };
  }
  if (signal !== null) return { failure: 'signal', reason: `was ended by ${signal}` };
  return (ending.exitCode ?? 0) > 1 ? exitVerdict(ending.exitCode ?? 0) : null;
}

const LIMIT_REASONS: Record<BreakOff, (limits: CheckLimits) => string> = {
  timeout: ({ timeMs }) => `was not done within ${timeMs / 1000} s`,
  output_limit: ({ outputBytes }) => `printed more than ${outputBytes} bytes`,
  memory_limit: ({ memoryBytes }) => `needed more than ${memoryBytes} bytes of memory`,
  process_limit: ({ processes }) => `ran more than ${processes} processes at a time`,
  disk_limit: ({ diskBytes }) => `wrote more than ${diskBytes} bytes`,
};

const EXIT_MEANINGS: Partial<Record<number, string>> = {
  126: ': its program cannot be executed',
  127: ': its program was not found',
};

function exitVerdict(code: number): Verdict {
  return { failure: 'exit_code', reason: `ended with exit code ${code}${EXIT_MEANINGS[code] ?? ''}` };
}

/** A shell, and a check's first process is one, tells by its exit code what signal ended its child. */
function signalOf(exitCode: number): string | null {
  const found = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128);
  return found?.[0] ?? null;
}

const PRINTED_LIMIT = 4_000; // characters

function lastOf(text: string): string {
  return text
    .replace(/\r\n?/g, '\n')
    .replace(/[^\P{Cc}\n\t]|\p{Surrogate}/gu, '\ufffd')
    .trim()
    .slice(-PRINTED_LIMIT);
}
