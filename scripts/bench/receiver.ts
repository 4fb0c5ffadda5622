import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** `answers` 204 at once; `hangs`: takes the request and never answers; `is away`: answers 503 and wants an hour's peace. */
export type Behaviour = 'answers' | 'hangs' | 'is away';

/** A request that has come, whole. */
export interface Arrival {
  /** Which of the receivers got it. */
  endpoint: number;
  eventId: string;
  /** Epoch ms. */
  at: number;
}

/** Receivers in a process of their own, so that they do not take turns with the senders in one event loop. */
export interface Receivers {
  /** One each, in the order of their behaviours. */
  urls: string[];
  pid: number;
  /** Forgets what came so far. */
  reset(): Promise<void>;
  /** Resolves when this many requests have come since the last reset. */
  received(count: number): Promise<void>;
  /** All that came since the last reset. */
  arrivals(): Promise<Arrival[]>;
  /** How many requests wait for an answer now. */
  unanswered(): Promise<number>;
  stop(): Promise<void>;
}

export type ReceiverOrder = { kind: 'reset' | 'arrivals' | 'unanswered' } | { kind: 'await'; count: number };
export type ReceiverWord =
  | { kind: 'listening'; ports: number[] }
  | { kind: 'done' }
  | { kind: 'arrivals'; arrivals: Arrival[] }
  | { kind: 'unanswered'; count: number };

export async function startReceivers(...behaviours: Behaviour[]): Promise<Receivers> {
  const program = fileURLToPath(new URL('receiver-process.ts', import.meta.url));
  const child = fork(program, behaviours, { execArgv: ['--import', import.meta.resolve('tsx')] });
  const answer = async <K extends ReceiverWord['kind']>(kind: K): Promise<ReceiverWord & { kind: K }> => {
    const [word] = (await once(child, 'message')) as [ReceiverWord];
    if (word.kind !== kind) throw new Error(`the receivers say "${word.kind}" where "${kind}" was expected`);
    return word as ReceiverWord & { kind: K };
  };
  // One order at a time: answers carry no name of the question.
  let last: Promise<unknown> = Promise.resolve();
  const order = async <K extends ReceiverWord['kind']>(what: ReceiverOrder, kind: K) => {
    const answered = last.then(() => {
      const word = answer(kind);
      child.send(what);
      return word;
    });
    last = answered.catch(() => undefined);
    return answered;
  };
  const { ports } = await answer('listening');
  return {
    urls: ports.map((port) => `http://127.0.0.1:${port}/hook`),
    pid: child.pid ?? Number.NaN,
    async reset() {
      await order({ kind: 'reset' }, 'done');
    },
    async received(count) {
      await order({ kind: 'await', count }, 'done');
    },
    arrivals: async () => (await order({ kind: 'arrivals' }, 'arrivals')).arrivals,
    unanswered: async () => (await order({ kind: 'unanswered' }, 'unanswered')).count,
    async stop() {
      if (child.exitCode !== null || !child.connected) return;
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
