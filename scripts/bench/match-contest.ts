import { type Interested, TopicMatcher } from '../../src/domain/topic-matcher.ts';
import type { Row } from './report.ts';
import { seededDice, somePatterns, someTopics } from './pattern-mix.ts';
import { median, ratios } from './statistics.ts';

const TOPICS = 2_000;

/** The matcher beside a scan, both asked the same in turns. */
export function matchContest({ patterns, rounds }: { patterns: number; rounds: number }) {
  const dice = seededDice(1);
  const interested = somePatterns(patterns, dice).map((pattern): Interested => ({ patterns: [pattern] }));
  const topics = someTopics(TOPICS, dice);
  const indexing = performance.now();
  const matcher = new TopicMatcher(interested);
  const indexMs = performance.now() - indexing;
  const scan = naiveScan(interested);
  let matches = 0;
  for (const topic of topics.slice(0, 200)) {
    const found = matcher.match(topic);
    const expected = scan(topic);
    if (found.size !== expected.size || [...expected].some((one) => !found.has(one)))
      throw new Error(`the matcher and the scan disagree about ${topic}`);
    matches += found.size / 200;
  }
  const matchMs: number[] = [];
  const scanMs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    matchMs.push(msEach(topics, (topic) => matcher.match(topic)));
    scanMs.push(msEach(topics, scan));
  }
  const row = (what: string, values: number[]): Row => ({ what, value: median(values), unit: 'ms', rounds: values });
  return {
    rows: [
      { what: `matcher: indexing ${patterns} patterns`, value: indexMs, unit: 'ms' },
      row(`matcher: an event, ${patterns} patterns`, matchMs),
      row('scan over all patterns: an event', scanMs),
      { what: 'patterns that match an event, on average', value: matches, unit: 'patterns' },
    ] satisfies Row[],
    ratios: { matchToScan: median(ratios(matchMs, scanMs)) },
  };
}

function msEach(topics: string[], match: (topic: string) => Set<Interested>): number {
  const begun = performance.now();
  let found = 0;
  for (const topic of topics) found += match(topic).size; // something of the result is used, or it might not be made
  return (performance.now() - begun) / (found < 0 ? Number.NaN : topics.length);
}

/** Each pattern in turn, split into tokens ahead, given up at the first token that differs. */
function naiveScan(interested: Interested[]): (topic: string) => Set<Interested> {
  const all = interested.flatMap((one) => one.patterns.map((pattern) => ({ one, wanted: pattern.split('.') })));
  return (topic) => {
    const tokens = topic.split('.');
    return new Set(all.filter(({ wanted }) => matches(wanted, tokens)).map(({ one }) => one));
  };
}

function matches(wanted: string[], tokens: string[]): boolean {
  for (const [index, want] of wanted.entries()) {
    if (want === '>') return index < tokens.length;
    if (index >= tokens.length || (want !== '*' && want !== tokens[index])) return false;
  }
  return wanted.length === tokens.length;
}
