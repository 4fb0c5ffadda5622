import { lookup } from 'node:dns/promises';
import type { Dispatcher } from 'undici';
import type { ConnectionError, Outcome, Response } from '../domain/outcome.ts';
import { RESPONSE_BODY_LIMIT } from '../domain/outcome.ts';
import { type AddressGuard, addressLiteral } from './address-guard.ts';
import { AddressNotAllowedError, describeConnectionError } from './connection-error.ts';
import { directDispatcher, proxyDispatcher } from './dispatcher.ts';

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
}

/** Makes single HTTP requests: no retry, no redirect, no kept connection. */
export interface Sender {
  /** One POST. Never throws for what the receiver or the network does: that is the outcome. */
  post(request: OutgoingRequest): Promise<Outcome>;
  close(): Promise<void>;
}

export function createSender({ guard, timeoutMs, proxy }: SenderOptions): Sender {
  const dispatcher = proxy === undefined ? directDispatcher(guard, timeoutMs) : proxyDispatcher(proxy, timeoutMs);
  return {
    async post(request) {
      const startedAt = performance.now();
      const deadline = new AbortController();
      const timer = setTimeout(() => {
        deadline.abort();
      }, timeoutMs);
      try {
        if (proxy !== undefined) await checkBeforeProxy(request.url, guard);
        const response = await exchange(dispatcher, request, deadline.signal);
        return { ...response, durationMs: since(startedAt) };
      } catch (error) {
        const reason = deadline.signal.aborted ? `timed out after ${timeoutMs} ms` : describeConnectionError(error);
        const viaProxy =
          proxy !== undefined && !(error instanceof AddressNotAllowedError) && !reason.startsWith('proxy');
        return connectionError(viaProxy ? `${reason} (through the proxy)` : reason, startedAt);
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      await dispatcher.close();
    },
  };
}

async function exchange(
  dispatcher: Dispatcher,
  { url, headers, body }: OutgoingRequest,
  signal: AbortSignal,
): Promise<Omit<Response, 'durationMs'>> {
  const { origin, pathname, search } = new URL(url);
  const answer = await dispatcher.request({ origin, path: pathname + search, method: 'POST', headers, body, signal });
  const kept = await readAtMost(answer.body, RESPONSE_BODY_LIMIT, signal);
  return { kind: 'response', statusCode: answer.statusCode, headers: presentHeaders(answer.headers), ...kept };
}

/** Reads until the limit or the deadline; either cuts the answer off, which then counts by its status alone. */
async function readAtMost(
  stream: Dispatcher.ResponseData['body'],
  limit: number,
  deadline: AbortSignal,
): Promise<{ body: Buffer; truncated: boolean }> {
  const chunks: Buffer[] = [];
  let length = 0;
  let truncated = false;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      chunks.push(chunk.subarray(0, limit - length));
      length += chunk.length;
      if (length > limit) {
        truncated = true;
        break; // leaving the loop destroys the stream, and with it the connection
      }
    }
  } catch (error) {
    if (!deadline.aborted) throw error;
    truncated = true;
  }
  return { body: Buffer.concat(chunks), truncated };
}

function presentHeaders(headers: Record<string, string | string[] | undefined>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string | string[]] => entry[1] !== undefined),
  );
}

/**
 * A proxy resolves names itself, so here the guard can only refuse what is plain beforehand. Where the name does not
 * resolve on this side (an inner network often has no outer DNS), the proxy's own rules decide.
 */
async function checkBeforeProxy(url: string, guard: AddressGuard): Promise<void> {
  const target = new URL(url);
  const literal = addressLiteral(target);
  const addresses =
    literal !== null
      ? [literal]
      : await lookup(target.hostname, { all: true }).then(
          (found) => found.map(({ address }) => address),
          () => [],
        );
  if (addresses.length > 0 && !addresses.some((address) => guard.allows(address))) throw new AddressNotAllowedError();
}

function connectionError(reason: string, startedAt: number): ConnectionError {
  return { kind: 'connection_error', reason, durationMs: since(startedAt) };
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}
