import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A healthy receiver in a process of its own, so that it does not take turns with the senders in one event loop. */
export interface Receiver {
  url: string;
  /** Forgets what came so far. */
  reset(): Promise<void>;
  /** Resolves when this many requests have come since the last reset. */
  received(count: number): Promise<void>;
  stop(): Promise<void>;
}

export type ReceiverOrder = { kind: 'reset' } | { kind: 'await'; count: number };
export type ReceiverWord = { kind: 'listening'; port: number } | { kind: 'done' };

export async function startReceiver(): Promise<Receiver> {
  const program = fileURLToPath(new URL('receiver-process.ts', import.meta.url));
  const child = fork(program, { execArgv: ['--import', import.meta.resolve('tsx')] });
  const answer = async (): Promise<ReceiverWord> => {
    const [word] = (await once(child, 'message')) as [ReceiverWord];
    return word;
  };
  const order = async (what: ReceiverOrder): Promise<void> => {
    const done = answer();
    child.send(what);
    await done;
  };
  const word = await answer();
  if (word.kind !== 'listening') throw new Error('the receiver did not come up');
  return {
    url: `http://127.0.0.1:${word.port}/hook`,
    reset: () => order({ kind: 'reset' }),
    received: (count) => order({ kind: 'await', count }),
    async stop() {
      if (child.exitCode !== null || !child.connected) return;
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
