import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { inject } from 'vitest';
import { testProgram } from './test-program.ts';

type Variables = Record<string, string>;

function start(program: string, variables: Variables, args: string[] = []): ChildProcess {
  const { PATH, HOME } = process.env;
  return fork(testProgram(program), args, { env: { PATH, HOME, ...variables }, execArgv: [] });
}

async function firstWord(child: ChildProcess, name: string): Promise<void> {
  const over = once(child, 'exit').then(() => {
    throw new Error(`${name} ended while it started`);
  });
  await Promise.race([once(child, 'message'), over]);
}

export interface JobWorker {
  pid: number;
  /** @returns once it has ended */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** A process of {@link file://./job-worker-program.ts}, once it is at work. It ends with ours at the latest. */
export async function startJobWorker(variables: Variables, { graceMs = 500 } = {}): Promise<JobWorker> {
  const child = start('job-worker-program', variables, [inject('workflowBundle'), String(graceMs)]);
  const ended = once(child, 'exit');
  await firstWord(child, 'the worker');
  return {
    pid: child.pid ?? Number.NaN,
    async kill(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await ended;
    },
  };
}

/** How often a client is to trigger a job, all at once. */
export interface Order {
  subject: number;
  times: number;
}

export interface Answer {
  /** What the caller had raised the counter to before. */
  raised: number;
  deduped: boolean;
}

/** Several orders may be under way at once. */
export interface NumberedOrder extends Order {
  number: number;
}

export interface Report {
  number: number;
  answers: Answer[];
}

export interface JobClient {
  trigger(order: Order): Promise<Answer[]>;
  stop(): Promise<void>;
}

/** A process of {@link file://./job-client-program.ts}. */
export async function startJobClient(variables: Variables): Promise<JobClient> {
  const child = start('job-client-program', variables);
  const ended = once(child, 'exit');
  await firstWord(child, 'the client');
  const waiting = new Map<number, (answers: Answer[]) => void>();
  child.on('message', ({ number, answers }: Report) => waiting.get(number)?.(answers));
  return {
    async trigger(order) {
      const number = waiting.size;
      const answered = new Promise<Answer[]>((resolve) => waiting.set(number, resolve));
      child.send({ ...order, number } satisfies NumberedOrder);
      const over = ended.then(() => {
        throw new Error('the client has ended');
      });
      return Promise.race([answered, over]);
    },
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
