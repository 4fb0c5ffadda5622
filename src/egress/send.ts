import type { Dispatcher } from 'undici';
import type { ConnectionError, Outcome, Response } from '../domain/outcome.ts';
import { RESPONSE_BODY_LIMIT } from '../domain/outcome.ts';
import { type AddressGuard, urlProblem } from './address-guard.ts';
import { Connections } from './connections.ts';
import { AddressNotAllowedError, describeConnectionError, isOurFault } from './connection-error.ts';
import { checkBeforeProxy, directDispatchers, type Lookup, proxyDispatchers } from './dispatcher.ts';

export interface OutgoingRequest {
  url: string;
  headers: Record<string, string>;
  body: string;
}

export interface SenderOptions {
  guard: AddressGuard;
  /** For all of an attempt: connecting, sending, and reading the answer. */
  timeoutMs: number;
  /** URL of a forward proxy; absent where receivers are dialled directly. */
  proxy?: string | undefined;
  /** How names are resolved, where that is not the system's business. */
  lookup?: Lookup | undefined;
}

/** Makes single HTTP requests: no retry, no redirect. */
export interface Sender {
  /**
   * One POST. Never throws for what the receiver or the network does: that is the outcome.
   * @param signal the caller's own wish to break off
   * @throws the signal's reason once it aborts: the request was made or not made, there is no outcome
   * @throws what undici finds wrong with the request itself, which is a fault of ours
   */
  post(request: OutgoingRequest, signal?: AbortSignal): Promise<Outcome>;
  /** Lets the requests in flight end. */
  close(): Promise<void>;
}

export function createSender({ guard, timeoutMs, proxy, lookup }: SenderOptions): Sender {
  const makeDispatcher =
    proxy === undefined ? directDispatchers({ guard, timeoutMs, lookup }) : proxyDispatchers(proxy, timeoutMs);
  // A proxy's own rules on kept connections are not ours to know.
  const connections = new Connections(makeDispatcher, { keeps: proxy === undefined });
  const inFlight = new Set<Promise<unknown>>();
  return {
    async post(request, signal) {
      const posting = attempt(request, signal).finally(() => inFlight.delete(posting));
      inFlight.add(posting);
      return posting;
    },
    async close() {
      await Promise.allSettled(inFlight);
      connections.close();
    },
  };

  async function attempt(request: OutgoingRequest, signal: AbortSignal | undefined): Promise<Outcome> {
    signal?.throwIfAborted();
    const startedAt = performance.now();
    const problem = urlProblem(request.url);
    if (problem !== null) return connectionError(`URL not allowed: ${problem}`, startedAt);
    const url = new URL(request.url);
    let connection = connections.take(url.origin);
    const stop = new Stop(() => {
      connection.hangUp();
    });
    const timer = setTimeout(() => {
      stop.comes(new TimedOut());
    }, timeoutMs);
    const breakOff = (): void => {
      stop.comes(signal?.reason);
    };
    signal?.addEventListener('abort', breakOff);
    const ask = async () => stop.orEnd(exchange(connection.dispatcher, url, request));
    let isWhole = false;
    try {
      if (proxy !== undefined) await stop.orEnd(checkBeforeProxy(url, { guard, lookup }));
      const answer = await ask().catch(async (error: unknown) => {
        // The receiver closed it before it saw the request, most likely; if not, it knows the webhook by its id.
        if (!connection.isUsed || stop.hasCome || isOurFault(error)) throw error;
        connection.hangUp();
        connection = connections.take(url.origin, { fresh: true });
        return ask();
      });
      // By definition a 204 has no body; what comes after it all the same is no reason to send the webhook again.
      const kept = answer.statusCode === 204 ? NO_BODY : await readAtMost(answer.body, stop);
      isWhole = !kept.truncated && !stop.hasCome;
      return response(answer, kept, startedAt);
    } catch (error) {
      signal?.throwIfAborted();
      if (!stop.isTimeout && isOurFault(error)) throw error;
      const reason = stop.isTimeout ? `timed out after ${timeoutMs} ms` : describeConnectionError(error);
      const viaProxy = proxy !== undefined && !(error instanceof AddressNotAllowedError) && !reason.startsWith('proxy');
      return connectionError(viaProxy ? `${reason} (through the proxy)` : reason, startedAt);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', breakOff);
      if (isWhole) connection.giveBack();
      else connection.hangUp();
    }
  }
}

async function exchange(
  dispatcher: Dispatcher,
  { origin, pathname, search }: URL,
  { headers, body }: OutgoingRequest,
): Promise<Dispatcher.ResponseData> {
  const answer = await dispatcher.request({ origin, path: pathname + search, method: 'POST', headers, body });
  // Where nobody reads the body any more, its error must not end the process.
  answer.body.on('error', () => undefined);
  return answer;
}

class TimedOut extends Error {}

/** The end of an attempt before it is over: what a composed abort signal does, without what that leaves for the garbage collector. */
class Stop {
  readonly #promise: Promise<never>;
  #reject: (reason: unknown) => void = () => undefined;
  readonly #onCome: () => void;
  #reason: unknown;
  hasCome = false;

  constructor(onCome: () => void) {
    this.#onCome = onCome;
    this.#promise = new Promise((_resolve, reject) => (this.#reject = reject));
    this.#promise.catch(() => undefined); // it may come when nothing waits for it
  }

  get isTimeout(): boolean {
    return this.#reason instanceof TimedOut;
  }

  /** The first reason counts. */
  comes(reason: unknown): void {
    if (this.hasCome) return;
    this.hasCome = true;
    this.#reason = reason;
    this.#onCome();
    this.#reject(reason);
  }

  /** Name resolution and a proxy's tunnel cannot be broken off; they must not hold the caller when the time is up. */
  async orEnd<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#promise]);
  }
}

interface KeptBody {
  body: Buffer;
  truncated: boolean;
}

const NO_BODY: KeptBody = { body: Buffer.alloc(0), truncated: false };

/** Reads until the limit or the deadline; either cuts the answer off, which then counts by its status alone. */
async function readAtMost(stream: Dispatcher.ResponseData['body'], stop: Stop): Promise<KeptBody> {
  const chunks: Buffer[] = [];
  let length = 0;
  let truncated = false;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk.subarray(0, RESPONSE_BODY_LIMIT - length));
      length += chunk.length;
      if (length > RESPONSE_BODY_LIMIT) {
        truncated = true;
        break;
      }
    }
  } catch (error) {
    if (!stop.isTimeout) throw error;
    truncated = true;
  }
  return { body: Buffer.concat(chunks), truncated };
}

function response({ statusCode, headers }: Dispatcher.ResponseData, kept: KeptBody, startedAt: number): Response {
  return { kind: 'response', statusCode, headers: presentHeaders(headers), ...kept, durationMs: since(startedAt) };
}

function presentHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined),
  );
}

function connectionError(reason: string, startedAt: number): ConnectionError {
  return { kind: 'connection_error', reason, durationMs: since(startedAt) };
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}
