/** Jobs are numbers, and what a job has to do follows from its number, so that both queues carry nothing else. */
export const WORK = {
  /** Done at once. */
  trivial: 1,
  /** Takes {@link SHORT_MS}. */
  short: 1_000_000_000,
  /** Never ends. */
  endless: 2_000_000_000,
} as const;

export type Work = keyof typeof WORK;
export const SHORT_MS = 50;

export function workOf(job: number): Work {
  if (job >= WORK.endless) return 'endless';
  return job >= WORK.short ? 'short' : 'trivial';
}

/** What a worker's process says of jobs that are not trivial, and graphile-worker's of those that are done. */
export type WorkerWord =
  | { kind: 'at work' }
  /** Epoch ms. */
  | { kind: 'begun'; job: number; at: number }
  | { kind: 'done'; jobs: number[] };

export interface WorkerSettings {
  queue: 'forgeflow' | 'graphile-worker';
  databaseUrl: string;
  temporalAddress: string;
  workflowBundle: string;
  /** Jobs at once. */
  concurrency: number;
}
