import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

export interface Forwarded {
  /** `CONNECT` for a tunnel, whose contents the proxy does not see. */
  method: string;
  /** The absolute URL, or `host:port` of a tunnel. */
  target: string;
}

export interface ForwardProxy {
  /** With the credentials, where it asks for some. */
  url: string;
  port: number;
  forwarded: Forwarded[];
  /** Requests turned away: wrong credentials, wrong form of the target. */
  refused: Forwarded[];
  close(): Promise<void>;
}

export interface ForwardProxyOptions {
  /** `user:password`; without, everybody may pass. */
  credentials?: string;
  /** Takes connections and never says a word. */
  silent?: boolean;
}

/** A strict forward proxy on 127.0.0.1: absolute-form for http, CONNECT for https, nothing else. */
export async function startForwardProxy({
  credentials,
  silent = false,
}: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const forwarded: Forwarded[] = [];
  const refused: Forwarded[] = [];
  const sockets = new Set<Duplex>();

  /** @returns the status to turn the request away with, or undefined where it may pass */
  function judge({ method = '', url: target = '', headers }: IncomingMessage): number | undefined {
    const wanted = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
    let status: number | undefined;
    if (wanted !== undefined && headers['proxy-authorization'] !== wanted) status = 407;
    else if (method !== 'CONNECT' && !target.startsWith('http://')) status = 400;
    (status === undefined ? forwarded : refused).push({ method, target });
    return status;
  }

  function forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    if (silent) return;
    const status = judge(incoming);
    if (status !== undefined) {
      outgoing.writeHead(status, { 'proxy-authenticate': 'Basic realm="test"' }).end();
      return;
    }
    const passedOn = Object.entries(incoming.headers).filter(([name]) => !/^(proxy-|connection$)/.test(name));
    const onward = httpRequest(incoming.url ?? '', {
      method: incoming.method,
      headers: { ...Object.fromEntries(passedOn), via: '1.1 test' },
    });
    onward.on('response', (answer) => {
      answer.pipe(outgoing.writeHead(answer.statusCode ?? 502, answer.headers));
    });
    onward.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(onward);
  }

  function tunnel(incoming: IncomingMessage, client: Duplex): void {
    if (silent) return;
    const status = judge(incoming);
    if (status !== undefined) {
      client.end(`HTTP/1.1 ${status} Refused\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${incoming.url ?? ''}`);
    const onward: Socket = connect(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      client.pipe(onward).pipe(client);
    });
    onward.on('error', () => client.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'));
    client.on('error', () => onward.destroy());
    client.on('close', () => onward.destroy());
  }

  const server = createServer(forward).on('connect', tunnel);
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${credentials === undefined ? '' : `${credentials}@`}127.0.0.1:${port}`,
    port,
    forwarded,
    refused,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
