import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ReceivedWebhook {
  eventId: string;
  /** The subscription's name, from the path of its URL. */
  subscription: string;
  /** The header `webhook-id`. */
  webhookId: string;
  /** Epoch ms. */
  at: number;
}

export type ReceiverWord = { kind: 'listening'; port: number } | { kind: 'received'; webhooks: ReceivedWebhook[] };

/** A healthy receiver in a process of its own: nothing that happens to the others keeps it from counting. */
export interface Receiver {
  readonly pid: number;
  urlFor(subscription: string): string;
  stop(): Promise<void>;
}

/** @param onWebhooks told of every request, in the order they came */
export async function startReceiver(onWebhooks: (webhooks: ReceivedWebhook[]) => void): Promise<Receiver> {
  const program = fileURLToPath(new URL('receiver-process.ts', import.meta.url));
  const child = fork(program, { execArgv: ['--import', 'tsx'], cwd: fileURLToPath(new URL('.', import.meta.url)) });
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => {
      resolve();
    });
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.on('message', (word: ReceiverWord) => {
      if (word.kind === 'listening') resolve(word.port);
      else onWebhooks(word.webhooks);
    });
    void ended.then(() => {
      reject(new Error('the receiver ended'));
    });
  });
  return {
    pid: child.pid ?? Number.NaN,
    urlFor: (subscription) => `http://127.0.0.1:${port}/${subscription}`,
    async stop() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
