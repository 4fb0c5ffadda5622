import { fork } from 'node:child_process';
import type { EventEmitter } from 'node:events';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { WorkerSettings, WorkerWord } from './jobs-work.ts';

/** What workers' processes say, by the kind of their words. */
export type WorkerEvents = EventEmitter<{ begun: [job: number, at: number]; done: [jobs: number[]] }>;

export interface JobWorker {
  /** Takes it away as a crash of the machine would. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** A worker in a process of its own, once it is at work. It ends with this one, however that ends. */
export async function startJobWorker(settings: WorkerSettings, events: WorkerEvents): Promise<JobWorker> {
  const child = fork(fileURLToPath(new URL('jobs-worker-program.ts', import.meta.url)), [JSON.stringify(settings)], {
    execArgv: ['--import', import.meta.resolve('tsx')],
  });
  const ended = once(child, 'exit');
  const atWork = new Promise<void>((resolve, reject) => {
    child.on('message', (word: WorkerWord) => {
      if (word.kind === 'at work') resolve();
      if (word.kind === 'begun') events.emit('begun', word.job, word.at);
      if (word.kind === 'done') events.emit('done', word.jobs);
    });
    void ended.then(() => {
      reject(new Error('the worker ended while it started'));
    });
  });
  await atWork;
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  // Jobs that never end are in its hands, for which it would wait.
  return { kill, stop: kill };
}
