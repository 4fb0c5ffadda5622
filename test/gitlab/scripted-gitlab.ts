import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGitlabClient, type GitlabClient, type GitlabClientOptions } from '../../src/gitlab/client.ts';

export const TOKEN = 'glpat-Very_Secret-20';
export const TIMEOUT_MS = 400;

export interface Seen {
  method: string;
  /** Path and query. */
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Scripted {
  status?: number;
  headers?: Record<string, string>;
  /** Sent as it is when a text; else as JSON. */
  body?: unknown;
}

/** What to answer, or a hand of its own on the socket. */
export type Script = Scripted | ((response: ServerResponse, seen: Seen) => void);

export interface ScriptedGitlab {
  url: string;
  requests: Seen[];
  /** For the requests to come, in this order; the last one for all after it. */
  script(...answers: [Script, ...Script[]]): void;
  close(): Promise<void>;
}

/** Answers what it is told to, whatever is asked, on a free port of 127.0.0.1. */
export async function startScriptedGitlab(): Promise<ScriptedGitlab> {
  const requests: Seen[] = [];
  let answers: Script[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url: path = '', headers } = incoming;
      const seen = { method, path, headers, body: Buffer.concat(chunks).toString() };
      requests.push(seen);
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
      if (typeof answer === 'function') answer(response, seen);
      else send(response, answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    script(...next) {
      answers = next;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export function clientOf(gitlab: { url: string }, options: Partial<GitlabClientOptions> = {}): GitlabClient {
  return createGitlabClient({ url: gitlab.url, token: TOKEN, timeoutMs: TIMEOUT_MS, ...options });
}

function send(response: ServerResponse, { status = 200, headers = {}, body }: Scripted): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text);
}
