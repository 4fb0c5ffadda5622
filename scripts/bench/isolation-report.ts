import type { Courier } from './courier.ts';
import type { Load, Phase } from './load-phase.ts';
import type { Report, Row } from './report.ts';
import { median, percentile, ratios } from './statistics.ts';

/** What a courier did in each round, four endpoints alone, and with a fifth that never answers. */
export interface Trial {
  courier: Courier;
  /** What the ratios of its healthy endpoints are called: over all, and until the breaker of the hanging one tripped. */
  ratios: { whole: string; untilTripped?: string };
  load: Omit<Load, 'endpoints'>;
  alone: Phase[];
  withHanging: Phase[];
}

interface Conditions {
  /** Requests in flight at once. */
  concurrency: number;
  timeoutMs: number;
}

export function isolationReport(trials: Trial[], conditions: Conditions): Report {
  return {
    bench: 'isolation',
    rows: trials.flatMap(rowsOf),
    ratios: Object.fromEntries(trials.flatMap(ratiosOf)),
    notes: notes(trials, conditions),
  };
}

function ratiosOf(trial: Trial): [string, number][] {
  const { whole, untilTripped } = compare(trial);
  const names = trial.ratios;
  return [
    [names.whole, median(whole)],
    ...(names.untilTripped === undefined
      ? []
      : [[names.untilTripped, median(untilTripped)] satisfies [string, number]]),
  ];
}

const latencies = ({ samples }: Phase): number[] => samples.map(({ latencyMs }) => latencyMs);
const p50 = (values: number[]): number => percentile(values, 0.5);
const p99 = (values: number[]): number => percentile(values, 0.99);
const whileUntripped = ({ samples, gaveUpMs }: Phase): number[] =>
  samples.filter(({ handedInMs }) => handedInMs < (gaveUpMs ?? Infinity)).map(({ latencyMs }) => latencyMs);

/** How many times longer healthy ones wait beside a hanging one, round by round. */
function compare({ alone, withHanging }: Trial) {
  const before = alone.map((phase) => p99(latencies(phase)));
  return {
    whole: ratios(
      withHanging.map((phase) => p99(latencies(phase))),
      before,
    ),
    untilTripped: ratios(
      withHanging.map((phase) => p99(whileUntripped(phase))),
      before,
    ),
  };
}

function rowsOf(trial: Trial): Row[] {
  const { alone, withHanging } = trial;
  const { name } = trial.courier;
  const row = (what: string, unit: string, rounds: number[]): Row => ({
    what: `${name}, ${what}`,
    value: median(rounds),
    unit,
    rounds,
  });
  const tripped = withHanging.flatMap(({ gaveUpMs }) => (gaveUpMs === null ? [] : [gaveUpMs / 1_000]));
  const missing = withHanging.map(({ samples }) => samples.filter(({ came }) => !came).length);
  return [
    row('healthy alone: p50', 'ms', alone.map(latencies).map(p50)),
    row('healthy alone: p99', 'ms', alone.map(latencies).map(p99)),
    row('healthy beside a hanging one: p50', 'ms', withHanging.map(latencies).map(p50)),
    row('healthy beside a hanging one: p99', 'ms', withHanging.map(latencies).map(p99)),
    ...(tripped.length === 0
      ? []
      : [
          row('the same until the breaker tripped: p99', 'ms', withHanging.map(whileUntripped).map(p99)),
          row('breaker of the hanging one tripped after', 's', tripped),
        ]),
    row('p99 beside a hanging one / alone, round by round', 'ratio', compare(trial).whole),
    row(
      'requests that the hanging one got',
      'requests',
      withHanging.map(({ toLast }) => toLast),
    ),
    row('requests to healthy ones that had not come at the end', 'requests', missing),
  ];
}

function notes(trials: Trial[], { concurrency, timeoutMs }: Conditions): string[] {
  const { everyMs = NaN, patienceMs = NaN } = trials[0]?.load ?? {};
  const sizes = trials.map(
    ({ courier, load, alone }) => `${courier.name} ${load.forMs / 1_000} s (${alone[0]?.samples.length ?? 0} requests)`,
  );
  return [
    'a round: four healthy endpoints alone, and beside one that takes requests and never answers, in turns; ratios are medians of the rounds’ own',
    `${1_000 / everyMs} events/s, each to every endpoint; a phase, and its requests to healthy ones: ${sizes.join(', ')}`,
    'lanes mixed (not in a quick run): the hanging endpoint and every second of the others are in the express lane, the rest in the workflow lane',
    `latency: from before publishing (or adding the job) to the arrival of its request, whole; what has not come ${patienceMs / 1_000} s after the end counts with the time until then`,
    `${concurrency} requests in flight, ${timeoutMs / 1_000} s timeout, new subscriptions (a new schema of graphile-worker) each phase, all else as it comes`,
    'the receivers have a process of their own; forgeflow’s worker and graphile-worker share one with whoever publishes',
  ];
}
