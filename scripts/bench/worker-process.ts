import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface WorkerProcess {
  pid: number;
  stop(): Promise<void>;
}

export interface WorkerProcessOptions {
  home: string;
  /** Its settings, as environment variables. */
  variables: Record<string, string>;
  workflowBundle: string;
}

/** A worker in a process of its own, once it is at work. It ends with this one, however that ends. */
export async function startWorker({ home, variables, workflowBundle }: WorkerProcessOptions): Promise<WorkerProcess> {
  const { PATH, HOME } = process.env;
  const child = fork(fileURLToPath(new URL('worker-program.ts', import.meta.url)), [workflowBundle], {
    cwd: home,
    env: { PATH, HOME, ...variables },
    execArgv: ['--import', import.meta.resolve('tsx')],
  });
  const ended = once(child, 'exit');
  await Promise.race([
    once(child, 'message'),
    ended.then(() => {
      throw new Error('the worker ended while it started');
    }),
  ]);
  return {
    pid: child.pid ?? Number.NaN,
    async stop() {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
    },
  };
}
