import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from './answer.ts';
import { answer, tokenIn, type Api } from './api.ts';
import { readBody } from './body.ts';
import { type GitDesk, serveGit } from './git-http.ts';
import { LOGIN_PAGE, type Fault, type Faults } from './faults.ts';
import type { RateLimiter } from './rate-limit.ts';
import type { LoggedRequest, RequestLog } from './request-log.ts';

export interface Desk {
  api: Api;
  git: GitDesk;
  faults: Faults;
  rateLimiter: RateLimiter;
  log: RequestLog;
  /** Where this GitLab lives below its host: empty, or such as `/gitlab`. */
  root: string;
  /** How long every answer takes at least. */
  latencyMs(): number;
}

/** From a request to its answer: what stands before GitLab, its rate limit, its API, and what befalls the answer. */
export async function handle(desk: Desk, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const api = `${desk.root}/api/v4`;
  const [path = '', query = ''] = (incoming.url ?? '').split('?', 2);
  const isBelow = path.startsWith(`${desk.root}/`) && !path.startsWith(`${api}/`);
  if (isBelow && serveGit(desk.git, path.slice(desk.root.length), incoming, outgoing)) return;
  const body = await readBody(incoming);
  if (!path.startsWith(`${api}/`)) {
    write(outgoing, page(path, desk.root));
    return;
  }
  const method = incoming.method ?? '';
  const below = (incoming.url ?? '').slice(api.length);
  const entry = desk.log.begin(method, below, body, desk.api.within.clock.now());
  try {
    const faults = desk.faults.befalling(method, below);
    if (desk.latencyMs() > 0) await sleep(desk.latencyMs(), undefined, { ref: false });
    const early = await before(faults, entry, desk);
    if (early === 'torn down') {
      outgoing.destroy();
      return;
    }
    const answered = early ?? (await throttled(desk, { method, path: path.slice(api.length), query, body, incoming }));
    await after(faults, entry, answered, desk, outgoing);
  } finally {
    desk.log.end();
  }
}

async function before(faults: Fault[], entry: LoggedRequest, desk: Desk): Promise<Answer | 'torn down' | undefined> {
  for (const fault of faults) {
    if (typeof fault === 'string') continue;
    if ('slow' in fault) await sleep(fault.slow, undefined, { ref: false });
    if ('do' in fault && fault.when === 'before') await fault.do(entry);
  }
  for (const fault of faults) {
    if (fault === 'reset') return 'torn down';
    if (fault === 'html') return LOGIN_PAGE;
    if (fault === 'hang') {
      await desk.faults.untilCleared();
      return 'torn down';
    }
    if (typeof fault === 'string') continue;
    if ('instead' in fault) {
      const headers = { 'Content-Type': fault.contentType ?? 'application/json' };
      return { status: fault.status ?? 200, text: fault.instead, headers };
    }
    if ('status' in fault) return plain(fault.status, fault);
  }
  return undefined;
}

interface Reached {
  method: string;
  path: string;
  query: string;
  body: string;
  incoming: IncomingMessage;
}

async function throttled(desk: Desk, { method, path, query, body, incoming }: Reached): Promise<Answer> {
  const { headers, refusal } = desk.rateLimiter.check(tokenIn(incoming.headers) ?? 'nobody');
  if (refusal !== undefined) return refusal;
  const answered = await answer(desk.api, { method, path, query, headers: incoming.headers, body });
  return { ...answered, headers: { ...answered.headers, ...headers } };
}

async function after(
  faults: Fault[],
  entry: LoggedRequest,
  answered: Answer,
  desk: Desk,
  outgoing: ServerResponse,
): Promise<void> {
  for (const fault of faults)
    if (typeof fault === 'object' && 'do' in fault && fault.when === 'after') await fault.do(entry);
  let sent = answered;
  let cut: 'truncated' | 'brokenOff' | undefined;
  for (const fault of faults) {
    if (fault === 'hangAfterWork') await desk.faults.untilCleared();
    if (fault === 'lostAnswer' || fault === 'hangAfterWork') {
      outgoing.destroy();
      return;
    }
    if (fault === 'truncated' || fault === 'brokenOff') cut = fault;
    if (typeof fault === 'object' && 'statusAfterWork' in fault) sent = plain(fault.statusAfterWork, fault);
  }
  if (!outgoing.destroyed) entry.status = sent.status;
  write(outgoing, sent, cut);
}

/** As a proxy before GitLab would answer, when the test does not say how. */
function plain(status: number, { body, headers }: { body?: unknown; headers?: Record<string, string> }): Answer {
  if (typeof body === 'string' || body === undefined)
    return {
      status,
      text: body ?? `<html><h1>${status}</h1></html>`,
      headers: { 'Content-Type': 'text/html', ...headers },
    };
  return { status, json: body, headers: headers ?? {} };
}

/** Outside of the API there are only pages for people, who have to sign in. */
function page(path: string, root: string): Answer {
  const signIn = `${root}/users/sign_in`;
  return path === signIn ? LOGIN_PAGE : { status: 302, text: '', headers: { Location: signIn } };
}

function write(
  outgoing: ServerResponse,
  { status, json, text, headers }: Answer,
  cut?: 'truncated' | 'brokenOff',
): void {
  const whole = Buffer.from(text ?? (json === undefined ? '' : JSON.stringify(json)));
  const half = whole.subarray(0, Math.floor(whole.length / 2));
  outgoing.writeHead(status, {
    ...(json !== undefined && { 'Content-Type': 'application/json' }),
    'X-Request-Id': randomUUID(),
    ...headers,
    ...(status !== 204 && { 'Content-Length': cut === 'truncated' ? half.length : whole.length }),
  });
  if (cut === undefined) outgoing.end(whole);
  else if (cut === 'truncated') outgoing.end(half);
  else outgoing.write(half, () => outgoing.destroy());
}
