import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TEST_ENVIRONMENT } from './git-repository.ts';

export interface GitRequest {
  method: string;
  /** Path and query. */
  path: string;
  authorization: string | undefined;
}

/** What becomes of a request; null: it is served. */
export type Fate =
  | null
  | { status: number; headers?: Record<string, string>; body?: string }
  /** Served until that many bytes of the answer's body went out; then the connection is cut, or just falls silent. */
  | { afterBytes: number; then: 'cut' | 'stall' }
  | { delayMs: number };

export interface GitServer {
  /** `http(s)://127.0.0.1:<port>`; a repository `<name>` of the folder is at `/<name>`. */
  url: string;
  requests: GitRequest[];
  /** Only who knows the token is served, from now on; null: everyone. What a status was decided for gets that anyway. */
  require(token: string | null): void;
  /** Decides on each request that may come in. */
  decide(fate: (request: GitRequest) => Fate): void;
  close(): Promise<void>;
}

const pem = (name: string): Buffer => readFileSync(new URL(name, import.meta.url));

/** Serves the repositories of a folder as any git host does, by `git http-backend`, on a free port of this machine. */
export async function startGitServer({ root, tls = false }: { root: string; tls?: boolean }): Promise<GitServer> {
  const requests: GitRequest[] = [];
  const sockets = new Set<Socket>();
  const children = new Set<ChildProcess>();
  let token: string | null = null;
  let fateOf: (request: GitRequest) => Fate = () => null;

  const listener: RequestListener = (incoming, outgoing) => {
    const request: GitRequest = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      authorization: incoming.headers.authorization,
    };
    requests.push(request);
    const fate = fateOf(request);
    if (fate !== null && 'status' in fate) {
      outgoing.writeHead(fate.status, fate.headers).end(fate.body ?? '');
      return;
    }
    if (token !== null && passwordOf(request) !== token) {
      outgoing.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end('no');
      return;
    }
    const serve = (): void => {
      children.add(serveByCgi(root, incoming, outgoing, fate !== null && 'afterBytes' in fate ? fate : null));
    };
    if (fate !== null && 'delayMs' in fate) setTimeout(serve, fate.delayMs);
    else serve();
  };
  const server = tls
    ? createTlsServer({ cert: pem('localhost-cert.pem'), key: pem('localhost-key.pem') }, listener)
    : createServer(listener);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    require(wanted) {
      token = wanted;
    },
    decide(fate) {
      fateOf = fate;
    },
    async close() {
      for (const child of children) child.kill('SIGKILL');
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function passwordOf({ authorization = '' }: GitRequest): string | undefined {
  return Buffer.from(authorization.replace(/^Basic /, ''), 'base64')
    .toString()
    .split(':')[1];
}

/** The bridge between node:http and a CGI program. */
function serveByCgi(
  root: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  limit: { afterBytes: number; then: 'cut' | 'stall' } | null,
): ChildProcess {
  const url = new URL(incoming.url ?? '/', 'http://localhost');
  const { headers } = incoming;
  const child = spawn('git', ['http-backend'], {
    env: {
      ...TEST_ENVIRONMENT,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: incoming.method,
      CONTENT_TYPE: headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => undefined);
  incoming.pipe(child.stdin);
  outgoing.on('close', () => child.kill('SIGKILL'));

  let head: Buffer | null = Buffer.alloc(0);
  let sent = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    let body = chunk;
    if (head !== null) {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      body = head.subarray(end + 4);
      writeHead(outgoing, head.toString('latin1', 0, end));
      head = null;
    }
    if (limit !== null && sent + body.length >= limit.afterBytes) {
      const rest = body.subarray(0, limit.afterBytes - sent);
      child.stdout.pause();
      outgoing.write(rest, () => {
        if (limit.then === 'cut') outgoing.destroy();
      });
      return;
    }
    sent += body.length;
    if (!outgoing.write(body)) {
      child.stdout.pause();
      outgoing.once('drain', () => child.stdout.resume());
    }
  });
  child.stdout.on('end', () => outgoing.end());
  return child;
}

function writeHead(outgoing: ServerResponse, text: string): void {
  let status = 200;
  for (const line of text.split('\r\n')) {
    const [name = '', ...rest] = line.split(': ');
    if (name.toLowerCase() === 'status') status = Number.parseInt(rest.join(': '), 10);
    else outgoing.setHeader(name, rest.join(': '));
  }
  outgoing.writeHead(status);
}
