import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMs, cpuMsWithChildren } from './process-usage.ts';

/** Process ids, or what these processes took. */
type Watched = Record<'worker' | 'temporal' | 'postgres', number>;

/** CPU in ms for each second of that time. */
export async function watchCpu(pids: Watched, forMs: number, signal: AbortSignal): Promise<Watched> {
  const look = (): Watched => ({
    worker: cpuMs(pids.worker),
    temporal: cpuMs(pids.temporal),
    postgres: cpuMsWithChildren(pids.postgres),
  });
  const before = look();
  const begun = performance.now();
  await sleep(forMs, undefined, { signal });
  const after = look();
  const seconds = (performance.now() - begun) / 1_000;
  const spent = (who: keyof Watched): number => (after[who] - before[who]) / seconds;
  return { worker: spent('worker'), temporal: spent('temporal'), postgres: spent('postgres') };
}
