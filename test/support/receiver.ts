import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';

export interface ReceivedRequest {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingHttpHeaders;
  rawBody: Buffer;
  /** Epoch ms of the real clock, which in a test with skipped time is not the workflow's. */
  receivedAt: number;
}

export interface Answer {
  status?: number;
  headers?: Record<string, string | string[]>;
  body?: string | Buffer;
  delayMs?: number;
}

/** A status alone, a whole answer, or none at all: the connection stays open. */
export type AnyAnswer = number | Answer | 'never';
/** What to answer to the request, the `index`-th from 0 on. */
export type Answering = AnyAnswer | ((request: ReceivedRequest, index: number) => AnyAnswer | Promise<AnyAnswer>);

export interface Receiver {
  /** `http://127.0.0.1:<port>/hook` */
  url: string;
  port: number;
  /** In the order they arrived, each once its body was complete. */
  requests: ReceivedRequest[];
  answerWith(answer: Answering): void;
  /** @returns the first n requests @throws Error when fewer came in time */
  waitForRequests(n: number, timeoutMs?: number): Promise<ReceivedRequest[]>;
  close(): Promise<void>;
}

/** A well-behaved HTTP receiver on a free port of 127.0.0.1; it answers 200 until told otherwise. */
export async function startReceiver({ answer = 200 }: { answer?: Answering } = {}): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  let answering = answer;
  const waiting = new Set<() => void>();

  async function receive(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const request: ReceivedRequest = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      rawBody: Buffer.concat(chunks),
      receivedAt: Date.now(),
    };
    const index = requests.push(request) - 1;
    for (const look of waiting) look();
    const given = typeof answering === 'function' ? await answering(request, index) : answering;
    if (given === 'never') return;
    const {
      status = 200,
      headers = {},
      body = '',
      delayMs = 0,
    } = typeof given === 'number' ? { status: given } : given;
    if (delayMs > 0) await sleep(delayMs);
    outgoing.writeHead(status, headers).end(body);
  }

  const server = createServer((incoming, outgoing) => {
    receive(incoming, outgoing).catch(() => outgoing.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    requests,
    answerWith(next) {
      answering = next;
    },
    async waitForRequests(n, timeoutMs = 10_000) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (requests.length >= n)
            finish(() => {
              resolve(requests.slice(0, n));
            });
        };
        const timer = setTimeout(() => {
          finish(() => {
            reject(new Error(`${requests.length} of ${n} requests came in ${timeoutMs} ms`));
          });
        }, timeoutMs);
        const finish = (settle: () => void): void => {
          clearTimeout(timer);
          waiting.delete(look);
          settle();
        };
        waiting.add(look);
        look();
      });
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * Checks a request as a receiver with this secret would, with the package that the Standard Webhooks project gives to receivers.
 * @returns the payload, parsed
 * @throws WebhookVerificationError
 */
export function verify(request: ReceivedRequest, secret: string): unknown {
  return new Webhook(secret).verify(request.rawBody, request.headers as Record<string, string>);
}
