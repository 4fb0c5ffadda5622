import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { serveByCgi } from './gitlab/git-cgi.ts';

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
      const path = decodeURIComponent(new URL(incoming.url ?? '/', 'http://localhost').pathname);
      const limit = fate !== null && 'afterBytes' in fate ? fate : null;
      children.add(serveByCgi(incoming, outgoing, { root, path, limit }));
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
