import { utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CheckFailure } from './outcome.ts';
import { folderSize } from './folder-size.ts';
import type { CheckLimits } from './limits.ts';
import { processesOf } from './run-processes.ts';

export interface Watched {
  marker: string;
  folder: string;
  limits: CheckLimits;
}

export type Excess = Extract<CheckFailure, 'memory_limit' | 'process_limit' | 'disk_limit'>;

const INTERVAL_MS = 250;
// To look at a large folder, or at a busy machine's processes, takes time: it gets that part of it and no more.
const SHARE = 0.1;

/**
 * Looks several times a second at what no limit of the system covers for all processes of a check together, and tells
 * once that it is too much. Between two looks it can be more.
 * @returns stops it, and comes back when it has
 */
export function watchUsage(
  { marker, folder, limits }: Watched,
  onExcess: (excess: Excess) => void,
): () => Promise<void> {
  const stop = new AbortController();

  async function watch(): Promise<void> {
    const before = await folderSize(folder);
    for (;;) {
      const startedAt = performance.now();
      const excess = (await processExcess(marker, limits)) ?? (await diskExcess(folder, before, limits));
      if (stop.signal.aborted) return;
      if (excess !== null) {
        onExcess(excess);
        return;
      }
      await stillAlive(folder);
      const tookMs = performance.now() - startedAt;
      await sleep(Math.max(INTERVAL_MS, tookMs / SHARE), undefined, { signal: stop.signal });
    }
  }

  const watching = watch().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  watching.catch(() => undefined); // thrown to whoever stops it
  return async () => {
    stop.abort();
    await watching;
  };
}

async function processExcess(marker: string, limits: CheckLimits): Promise<Excess | null> {
  const processes = await processesOf(marker);
  if (processes.length > limits.processes + OURS) return 'process_limit';
  const bytes = processes.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  return bytes > limits.memoryBytes ? 'memory_limit' : null;
}

/** The lifeline's two, the namespace's and the check's first. */
const OURS = 4;

async function diskExcess(folder: string, before: number, limits: CheckLimits): Promise<Excess | null> {
  return (await folderSize(folder)) - before > limits.diskBytes ? 'disk_limit' : null;
}

/** A sign for `sweepCheckRuns`. */
async function stillAlive(folder: string): Promise<void> {
  const now = new Date();
  await utimes(folder, now, now);
}
