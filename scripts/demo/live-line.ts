import { setTimeout as sleep } from 'node:timers/promises';
import { SingleBar } from 'cli-progress';
import pc from 'picocolors';
import { say } from './console.ts';

// Lines that change while one looks at them. Where the output is no terminal there are no bars, and one line for a wait.

export interface BarOptions {
  total: number;
  /** What is counted. */
  of: string;
  /** Breaks it off; the cursor, which the bar hides, comes back then. */
  asked: AbortSignal;
}

/** Shows a bar while `work` goes on, which moves it. */
export async function withBar<T>(
  { total, of, asked }: BarOptions,
  work: (moveTo: (value: number) => void) => Promise<T>,
): Promise<T> {
  const bar = new SingleBar({
    format: `  {bar} {value}/{total} ${of}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    stream: process.stdout,
  });
  const stop = (): void => {
    if (bar.isActive) bar.stop();
  };
  asked.addEventListener('abort', stop, { once: true });
  bar.start(total, 0);
  try {
    return await work((value) => {
      if (bar.isActive) bar.update(value);
    });
  } finally {
    asked.removeEventListener('abort', stop);
    stop();
  }
}

/** Waits until then, and counts the seconds down. @throws AbortError when asked to end */
export async function countDown(to: Date, what: string, asked: AbortSignal): Promise<void> {
  const left = (): number => Math.ceil((to.getTime() - Date.now()) / 1000);
  const { isTTY } = process.stdout;
  if (!isTTY) say(`  ${what} in ${left()} s`);
  while (left() > 0) {
    if (isTTY) process.stdout.write(`\r\x1b[K  ${what} ${pc.yellow(`in ${left()} s`)}`);
    const ms = to.getTime() - Date.now();
    await sleep(ms % 1000 || Math.min(ms, 1000), undefined, { signal: asked });
  }
  if (isTTY) process.stdout.write(`\r\x1b[K  ${what} now\n`);
}
