import { type ChildProcess, spawn } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GIT_ENVIRONMENT } from './git-process.ts';

export interface CgiOptions {
  /** The folder that the path is below. */
  root: string;
  /** Decoded, such as `/project.git/info/refs`. */
  path: string;
  /** The answer's body ends there: the connection is cut, or just falls silent. */
  limit?: { afterBytes: number; then: 'cut' | 'stall' } | null;
}

/** The bridge between node:http and `git http-backend`, which is a CGI program. */
export function serveByCgi(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { root, path, limit = null }: CgiOptions,
): ChildProcess {
  const { headers } = incoming;
  const child = spawn('git', ['http-backend'], {
    env: {
      ...GIT_ENVIRONMENT,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: path,
      QUERY_STRING: new URL(incoming.url ?? '/', 'http://localhost').search.slice(1),
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
  let isAtLimit = false;
  child.stdout.on('data', (chunk: Buffer) => {
    if (isAtLimit) return;
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
      isAtLimit = true; // a drain of what was written before may let more come in
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
  child.stdout.on('end', () => {
    if (!isAtLimit) outgoing.end();
  });
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
