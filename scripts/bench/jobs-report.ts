import type { Burst } from './jobs-burst.ts';
import type { Resumed } from './jobs-resume.ts';
import { SHORT_MS } from './jobs-work.ts';
import type { Report, Row } from './report.ts';
import { median, percentile, ratios } from './statistics.ts';

/** What one queue did. */
export interface QueueTrial {
  name: string;
  /** In 1/s, one for each round. */
  rates: number[];
  /** Of jobs that come now and then, in ms. */
  latencies: number[];
  /** Of jobs that are each submitted when the one before has ended, in ms. */
  backToBack: number[];
  burst: Burst;
}

interface Measured {
  ours: QueueTrial;
  peer: QueueTrial;
  resumed: Resumed;
  conditions: { amount: number; peerScale: number; atOnce: number; concurrency: number; pauseMs: number };
}

/** In the SQL of graphile-worker, which no setting changes. */
const GRAPHILE_WORKER_LOCK_HOURS = 4;

export function jobsReport({ ours, peer, resumed, conditions }: Measured): Report {
  const toPeer = ratios(ours.rates, peer.rates);
  return {
    bench: 'jobs',
    rows: [
      ...[ours, peer].flatMap(rowsOf),
      {
        what: 'rate, forgeflow / graphile-worker, round by round',
        value: median(toPeer),
        unit: 'ratio',
        rounds: toPeer,
      },
      {
        what: 'forgeflow: worker killed, job goes on elsewhere after (longest)',
        value: Math.max(...resumed.ours),
        unit: 'ms',
        rounds: resumed.ours,
      },
      { what: 'forgeflow: the same, median', value: median(resumed.ours), unit: 'ms' },
      {
        what: 'graphile-worker: jobs that went on by themselves meanwhile',
        value: resumed.peersByThemselves,
        unit: 'jobs',
      },
      {
        what: 'graphile-worker: its lock on a dead worker’s job expires after (by its SQL, not waited for)',
        value: GRAPHILE_WORKER_LOCK_HOURS * 3_600_000,
        unit: 'ms',
      },
      {
        what: 'graphile-worker: once told which workers are dead, job goes on after (longest)',
        value: Math.max(...resumed.peersOnceUnlocked),
        unit: 'ms',
        rounds: resumed.peersOnceUnlocked,
      },
    ],
    ratios: { rateToGraphileWorker: median(toPeer), resumeMs: Math.max(...resumed.ours) },
    notes: notes(conditions, ours, resumed),
  };
}

function rowsOf({ name, rates, latencies, backToBack, burst }: QueueTrial): Row[] {
  return [
    { what: `${name}: trivial jobs`, value: median(rates), unit: '1/s', rounds: rates },
    { what: `${name}: enqueue to done, a job now and then, p50`, value: percentile(latencies, 0.5), unit: 'ms' },
    { what: `${name}: enqueue to done, a job now and then, p99`, value: percentile(latencies, 0.99), unit: 'ms' },
    { what: `${name}: enqueue to done, one after the other, p50`, value: percentile(backToBack, 0.5), unit: 'ms' },
    { what: `${name}: runs for ${burst.triggers} triggers of one job`, value: burst.runs, unit: 'runs' },
    { what: `${name}: the same, from the first trigger to the end of the last run`, value: burst.ms, unit: 'ms' },
  ];
}

function notes(
  { amount, peerScale, atOnce, concurrency, pauseMs }: Measured['conditions'],
  { rates, latencies }: QueueTrial,
  { heldMs }: Resumed,
): string[] {
  return [
    `rate: median of ${rates.length} rounds in turns, ${amount} jobs (graphile-worker ${amount * peerScale}), each under a key of its own, ${atOnce} submitted at once, ${concurrency} run at once; from the first submitted until the queue knows the end of the last`,
    `latency: ${latencies.length} jobs, each submitted ${pauseMs} ms after the one before has ended, and as many at once after it`,
    `burst: ${atOnce} triggers under way at once, a run takes ${SHORT_MS} ms; graphile-worker with a job_key and a queue of the job's own, so that no two run at once`,
    `kill: SIGKILL while ${heldMs.length} jobs are in hand, for ${heldMs.map((ms) => (ms / 1_000).toFixed(1)).join(', ')} s by then; other workers are at work already; resumeMs is the longest`,
    'graphile-worker does not find out that a worker is dead: somebody has to tell it (forceUnlockWorkers), as is measured here, or its jobs wait for 4 hours',
    'handlers do nothing; whoever submits has a process of its own, and so has each worker; the same Postgres (it syncs to disk), Temporal dev server on a file (SQLite, WAL)',
  ];
}
