import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GraphileJobs, JobQueue } from './jobs-queues.ts';
import type { JobWorker } from './jobs-worker.ts';
import { WORK } from './jobs-work.ts';

export interface Resumed {
  /** How long each of ours was in hand when its worker was killed, in ms. */
  heldMs: number[];
  /** From the kill to the beginning on another worker, in ms, one for each job that was in hand. */
  ours: number[];
  /** How many of the peer's jobs had begun elsewhere by themselves when all of ours had. */
  peersByThemselves: number;
  /** From the peer's being told which of its workers are dead, in ms. */
  peersOnceUnlocked: number[];
}

interface Contender<Queue extends JobQueue = JobQueue> {
  queue: Queue;
  /** The one that will be killed. */
  worker: JobWorker;
}

/** As long as we wait for a job to go on; both promise less. */
const PATIENCE_MS = 60_000;

/**
 * Kills the workers of both in the middle of jobs that they have had for longer and longer, with other workers at hand.
 * @param heldMs how long the jobs are in hand before other workers are started, and theirs killed
 */
export async function killInMidJob(
  ours: Contender,
  peer: Contender<GraphileJobs>,
  { heldMs, signal }: { heldMs: number[]; signal: AbortSignal },
): Promise<Resumed> {
  const jobs = heldMs.map((_, index) => WORK.endless + index);
  const longest = Math.max(...heldMs);
  const hand = async ({ queue }: Contender): Promise<number[]> => {
    const begun = untilBegun(queue, jobs);
    const handed = jobs.map(async (job, index) => {
      await sleep(longest - heldMs[index]!, undefined, { signal });
      await queue.enqueue(job);
    });
    await Promise.all(handed);
    const times = await begun;
    await sleep(Math.min(...heldMs), undefined, { signal });
    return times;
  };
  setMaxListeners(3 * jobs.length, signal);
  const [begunAt] = await Promise.all([hand(ours), hand(peer)]);
  // They come late enough to have none of the jobs in hand.
  await Promise.all([ours, peer].map(({ queue }) => queue.startWorker()));

  let peersByThemselves = 0;
  const count = (): void => void (peersByThemselves += 1);
  peer.queue.events.on('begun', count);
  const resumed = untilBegun(ours.queue, jobs);
  const killedAt = Date.now();
  await Promise.all([ours.worker.kill(), peer.worker.kill()]);
  const times = await resumed;
  peer.queue.events.off('begun', count);

  const unlocked = untilBegun(peer.queue, jobs);
  const unlockedAt = Date.now();
  await peer.queue.unlockAll();
  return {
    heldMs: begunAt.map((at) => killedAt - at),
    ours: times.map((at) => at - killedAt),
    peersByThemselves,
    peersOnceUnlocked: (await unlocked).map((at) => at - unlockedAt),
  };
}

/** @returns when each of them has begun, in epoch ms */
function untilBegun({ events, name }: JobQueue, jobs: number[]): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const times = new Map<number, number>();
    const timer = setTimeout(() => {
      reject(
        new Error(`only ${times.size} of ${jobs.length} jobs of ${name} have begun after ${PATIENCE_MS / 1_000} s`),
      );
    }, PATIENCE_MS);
    const onBegun = (job: number, at: number): void => {
      if (jobs.includes(job)) times.set(job, at);
      if (times.size < jobs.length) return;
      clearTimeout(timer);
      events.off('begun', onBegun);
      resolve(jobs.map((one) => times.get(one) ?? Number.NaN));
    };
    events.on('begun', onBegun);
  });
}
