import { Agent, type Dispatcher, request } from 'undici';
import { VERSION } from '../version.ts';
import type { Answer } from './answer.ts';
import { connectionWords } from './connection-words.ts';
import { GitlabBadAnswer, GitlabUnavailable } from './errors.ts';

/** A page of 100 hooks is some 150 kB; nothing that is asked for comes near this. */
export const ANSWER_LIMIT = 10 * 1024 * 1024;

export interface Outgoing {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: URL;
  headers: Record<string, string>;
  body?: string;
}

/** Makes single HTTP requests: no retry, no redirect. Connections are kept for the next one. */
export interface Exchange {
  /**
   * @throws GitlabUnavailable when no answer came in time
   * @throws GitlabBadAnswer when an answer came that breaks off or has no end
   * @throws the signal's reason once it aborts
   */
  send(outgoing: Outgoing, signal?: AbortSignal): Promise<Answer>;
  /** Lets the requests in flight end. */
  close(): Promise<void>;
}

/** @param timeoutMs for all of a request: connecting, sending, reading the answer to its end */
export function createExchange(timeoutMs: number): Exchange {
  const connect = { timeout: timeoutMs };
  const dispatcher = new Agent({ connect, headersTimeout: 0, bodyTimeout: 0, maxResponseSize: -1 });
  return {
    async send(outgoing, signal) {
      signal?.throwIfAborted();
      const deadline = AbortSignal.timeout(timeoutMs);
      const stop = signal === undefined ? deadline : AbortSignal.any([deadline, signal]);
      try {
        return await readAnswer(await ask(dispatcher, outgoing, stop));
      } catch (error) {
        signal?.throwIfAborted();
        if (deadline.aborted) throw new GitlabUnavailable(`GitLab did not answer within ${timeoutMs} ms`);
        if (error instanceof GitlabBadAnswer) throw error;
        throw new GitlabUnavailable(`GitLab could not be reached: ${connectionWords(error)}`);
      }
    },
    close: () => dispatcher.close(),
  };
}

function ask(dispatcher: Dispatcher, outgoing: Outgoing, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
  const { method, url, headers, body = null } = outgoing;
  const all = { accept: 'application/json', 'user-agent': `forgeflow/${VERSION}`, ...headers };
  return request(url, { method, headers: all, body, signal, dispatcher });
}

async function readAnswer({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Answer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > ANSWER_LIMIT) throw new GitlabBadAnswer(`GitLab's answer is larger than ${ANSWER_LIMIT} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof GitlabBadAnswer) throw error;
    throw new GitlabBadAnswer(`GitLab's answer broke off after ${length} bytes`);
  }
  return { status: statusCode, headers: plain(headers), text: Buffer.concat(chunks).toString('utf8') };
}

function plain(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
}
