import pLimit from 'p-limit';
import type { JobQueue } from './jobs-queues.ts';
import { WORK } from './jobs-work.ts';

export interface Burst {
  triggers: number;
  /** How often the job was run for them. */
  runs: number;
  ms: number;
}

/** Many triggers of one job, whose runs take a while. @param at the first of the jobs' numbers */
export async function triggerAtOnce(queue: JobQueue, triggers: number, atOnce: number): Promise<Burst> {
  const key = `burst/${(bursts += 1)}`;
  let runs = 0;
  const count = (): void => void (runs += 1);
  queue.events.on('begun', count);
  const limit = pLimit(atOnce);
  const begunAt = performance.now();
  await Promise.all(Array.from({ length: triggers }, () => limit(() => queue.enqueue(WORK.short, key))));
  await queue.quiet(key);
  const ms = performance.now() - begunAt;
  queue.events.off('begun', count);
  return { triggers, runs, ms };
}

let bursts = 0;
