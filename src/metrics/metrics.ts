import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ForgeflowDatabase } from '../database/connection.ts';
import { readFigures } from '../database/figures.ts';
import { within } from '../deadline.ts';
import { ATTEMPT_RESULTS, type AttemptResult } from './attempt-result.ts';
import { createFigureGauges } from './figure-gauges.ts';

export interface Metrics {
  /** An attempt was made. */
  attempted(attempt: { outcome: AttemptResult; durationMs: number }): void;
  /** The ingress answered a request. `route` is one of ours, never the path that was asked for: anyone can invent paths. */
  ingressAnswered(answer: { route: string; status: number }): void;
  /** GitLab said how many requests are left to us in its present window. */
  gitlabRateLimit(limit: { remaining: number }): void;
  /** Everything in Prometheus' text format. It never fails: what cannot be read now is left out. */
  text(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  /** What the figures are read from, at every scrape; without it there are none. */
  db?: ForgeflowDatabase;
  /** Metrics of Temporal's SDK, which come from an exporter of its own: `http://127.0.0.1:<port>/metrics`. */
  sdkMetricsUrl?: string;
}

// A scrape has 10 s by default.
const SCRAPE_WITHIN_MS = 3_000;

/** A registry of its own each time, so that one process can have several. */
export function createMetrics({ db, sdkMetricsUrl }: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const attempts = new Counter({
    name: 'forgeflow_attempts_total',
    help: 'Attempts of webhook deliveries, by what they came to',
    labelNames: ['outcome'],
    registers,
  });
  const durations = new Histogram({
    name: 'forgeflow_attempt_duration_seconds',
    help: 'How long attempts took, by what they came to',
    labelNames: ['outcome'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  const answers = new Counter({
    name: 'forgeflow_ingress_requests_total',
    help: 'Requests that the ingress answered',
    labelNames: ['route', 'status'],
    registers,
  });
  const gitlabRemaining = new Gauge({
    name: 'forgeflow_gitlab_rate_limit_remaining',
    help: "Requests that GitLab's rate limit leaves in its present window, as its last answer said",
    registers: [], // not before there is something to say: zero would be an alarm
  });
  const scrapeFailures = new Counter({
    name: 'forgeflow_scrape_failures_total',
    help: 'Scrapes that had to leave out what this source gives',
    labelNames: ['source'],
    registers,
  });
  // From zero on, or the first of each would be no increase to Prometheus.
  for (const outcome of ATTEMPT_RESULTS) {
    attempts.inc({ outcome }, 0);
    durations.zero({ outcome });
  }
  for (const source of ['postgres', 'temporal_sdk']) scrapeFailures.inc({ source }, 0);
  const gauges = createFigureGauges();

  /** Empty when it fails. */
  async function from(source: string, read: () => Promise<string>): Promise<string> {
    try {
      return await read();
    } catch {
      scrapeFailures.inc({ source });
      return '';
    }
  }

  const readGauges = db === undefined ? undefined : oneAtATime(() => readFigures(db));

  return {
    contentType: registry.contentType,
    attempted({ outcome, durationMs }) {
      attempts.inc({ outcome });
      durations.observe({ outcome }, durationMs / 1000);
    },
    ingressAnswered({ route, status }) {
      answers.inc({ route, status });
    },
    gitlabRateLimit({ remaining }) {
      registry.registerMetric(gitlabRemaining);
      gitlabRemaining.set(remaining);
    },
    async text() {
      const others = await Promise.all([
        readGauges && from('postgres', async () => gauges.text(await within(SCRAPE_WITHIN_MS, readGauges))),
        sdkMetricsUrl && from('temporal_sdk', () => fetchText(sdkMetricsUrl)),
      ]);
      const own = await registry.metrics(); // now, with what failed just before
      return [own, ...others].flatMap((part) => (part ? [`${part.trimEnd()}\n`] : [])).join('\n');
    },
  };
}

/** Who asks while an answer is on its way shares it: scrapes of a slow database do not add up. */
function oneAtATime<T>(read: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined;
  return () =>
    (underWay ??= read().finally(() => {
      underWay = undefined;
    }));
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(SCRAPE_WITHIN_MS) });
  if (!response.ok) throw new Error(`the exporter answers ${response.status}`);
  return response.text();
}
