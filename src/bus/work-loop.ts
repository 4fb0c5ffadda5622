import { setTimeout as sleep } from 'node:timers/promises';
import type { Outage } from './outage.ts';

export interface WorkLoopOptions {
  name: string;
  /** A piece of work. @returns how long to wait before the next one, in ms; 0 for not at all */
  work: () => Promise<Rest | number>;
  outage: Outage;
}

export interface Rest {
  /** Whatever there is to do: what comes meanwhile is done together. */
  pauseMs: number;
  /** And then, if nobody has woken the loop, or wakes it. */
  restMs: number;
}

export interface WorkLoop {
  /** There is something to do. */
  wake(): void;
  /** Begins nothing more; resolves when what is under way is done. */
  stop(): Promise<void>;
}

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5_000;

/** Does a piece of work again and again. When it fails, it waits, longer each time, and goes on. */
export function startWorkLoop({ name, work, outage }: WorkLoopOptions): WorkLoop {
  let stopped = false;
  let woken = false;
  let failures = 0;
  let resting = new AbortController();
  let isWakeable = false;

  async function step(): Promise<void> {
    woken = false;
    try {
      const rest = await work();
      const { pauseMs, restMs } = typeof rest === 'number' ? { pauseMs: 0, restMs: rest } : rest;
      failures = 0;
      outage.ends(name);
      await wait(pauseMs, { wakeable: false });
      if (!isWoken()) await wait(restMs);
    } catch (error) {
      outage.begins(name, error);
      await wait(Math.min(FIRST_DELAY_MS * 2 ** failures++, LONGEST_DELAY_MS), { wakeable: false });
    }
  }

  async function wait(ms: number, { wakeable = true } = {}): Promise<void> {
    if (stopped || ms <= 0) return;
    const { signal } = (resting = new AbortController());
    isWakeable = wakeable;
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }

  const isWoken = (): boolean => woken;
  const isStopped = (): boolean => stopped;

  async function run(): Promise<void> {
    while (!isStopped()) await step();
  }

  const running = run();
  return {
    wake() {
      woken = true;
      if (isWakeable) resting.abort();
    },
    async stop() {
      stopped = true;
      resting.abort();
      await running;
    },
  };
}
