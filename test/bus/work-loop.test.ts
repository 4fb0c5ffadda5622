import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { Outage } from '../../src/bus/outage.ts';
import { startWorkLoop, type WorkLoop } from '../../src/bus/work-loop.ts';
import { recordingLogger } from '../support/recording-logger.ts';

/** So long that a test which waits for it fails. */
const LONG_MS = 600_000;

let loop: WorkLoop | undefined;
afterEach(() => loop?.stop());

function start(work: () => Promise<number>): { log: ReturnType<typeof recordingLogger>; loop: WorkLoop } {
  const log = recordingLogger();
  loop = startWorkLoop({ name: 'work', work, outage: new Outage(log.logger) });
  return { log, loop };
}

/** Work that counts how often it is done, and returns what it is told to. */
function counted(restMs: (time: number) => number) {
  let times = 0;
  // eslint-disable-next-line @typescript-eslint/require-await -- as work is
  const work = async (): Promise<number> => restMs(++times);
  return { work, times: () => times };
}

describe('a work loop', () => {
  test('begins at once, and again as long as there is more to do', async () => {
    const { work, times } = counted((time) => (time < 5 ? 0 : LONG_MS));
    start(work);
    await expect.poll(times).toBe(5);
    await sleep(50);
    expect(times()).toBe(5);
  });

  test('goes on by itself when its rest is over', async () => {
    const { work, times } = counted(() => 20);
    start(work);
    await expect.poll(times).toBeGreaterThanOrEqual(3);
  });

  test('E2: is woken from its rest, once for each time', async () => {
    const { work, times } = counted(() => LONG_MS);
    const { loop } = start(work);
    await expect.poll(times).toBe(1);
    loop.wake();
    await expect.poll(times).toBe(2);
    loop.wake();
    loop.wake();
    await expect.poll(times).toBe(3);
    await sleep(50);
    expect(times()).toBe(3);
  });

  test('E2: that is woken while it works looks once more, since what it has looked at may be old', async () => {
    let release = (): void => undefined;
    let times = 0;
    const { loop } = start(async () => {
      times += 1;
      if (times === 1) await new Promise<void>((resolve) => (release = resolve));
      return LONG_MS;
    });
    await expect.poll(() => times).toBe(1);
    loop.wake();
    release();
    await expect.poll(() => times).toBe(2);
    await sleep(50);
    expect(times).toBe(2);
  });

  test('does one piece of work at a time, however often it is woken', async () => {
    let atOnce = 0;
    let most = 0;
    const { loop } = start(async () => {
      most = Math.max(most, ++atOnce);
      await sleep(5);
      atOnce -= 1;
      return LONG_MS;
    });
    for (let i = 0; i < 20; i++) {
      loop.wake();
      await sleep(2);
    }
    expect(most).toBe(1);
  });

  test('E8: that fails waits longer each time, whoever wakes it, and goes on as if nothing had been', async () => {
    const at: number[] = [];
    // eslint-disable-next-line @typescript-eslint/require-await -- as work is
    const { log, loop } = start(async () => {
      at.push(performance.now());
      if (at.length <= 3) throw new Error('away');
      return at.length === 4 ? 10 : LONG_MS;
    });
    const waking = setInterval(() => {
      loop.wake(); // as every event that is published does
    }, 5);
    await expect.poll(() => at.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(5);
    clearInterval(waking);
    const waits = at.slice(1).map((time, i) => time - at[i]!);
    expect(waits[0]).toBeGreaterThanOrEqual(245);
    expect(waits[1]).toBeGreaterThanOrEqual(495);
    expect(waits[2]).toBeGreaterThanOrEqual(995);
    expect(log.messages('WARN', 'ERROR').length).toBe(1);
    expect(log.messages('INFO')).toEqual(['the bus is at work again']);
  });

  test('E9: that is stopped ends its rest at once', async () => {
    const { work, times } = counted(() => LONG_MS);
    const { loop } = start(work);
    await expect.poll(times).toBe(1);
    await loop.stop();
    loop.wake();
    await sleep(30);
    expect(times()).toBe(1);
  });

  test('E9: that is stopped while it works ends that piece first, and begins no other', async () => {
    let release = (): void => undefined;
    let times = 0;
    const { loop } = start(async () => {
      times += 1;
      await new Promise<void>((resolve) => (release = resolve));
      return 0;
    });
    await expect.poll(() => times).toBe(1);
    let stopped = false;
    const stopping = loop.stop().then(() => (stopped = true));
    loop.wake();
    await sleep(30);
    expect(stopped).toBe(false);
    release();
    await stopping;
    expect(times).toBe(1);
  });

  test('E9: that is stopped while it fails does not wait first', async () => {
    // eslint-disable-next-line @typescript-eslint/require-await -- as work is
    const { loop, log } = start(async () => {
      throw new Error('away');
    });
    await expect.poll(() => log.lines.length).toBeGreaterThan(2); // some way up the ladder
    const before = performance.now();
    await loop.stop();
    expect(performance.now() - before).toBeLessThan(250);
  });
});
