import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { gzipSync } from 'node:zlib';

/** Speaks raw TCP, so that it can break every rule of HTTP. */
type Behaviour = (socket: Socket) => void;

/** A key and a self-signed certificate for `localhost` and 127.0.0.1, made for these tests and good for nothing else. */
export const LOCALHOST_CERTIFICATE_FILE = new URL('localhost-cert.pem', import.meta.url).pathname;
export const localhostTls = {
  cert: readFileSync(LOCALHOST_CERTIFICATE_FILE),
  key: readFileSync(new URL('localhost-key.pem', import.meta.url)),
};

const OK = 'HTTP/1.1 200 OK\r\n';
const MEBIBYTE = 1024 * 1024;
/** Made beforehand: on a busy machine it takes longer than a request may. */
const BOMB = gzipSync(Buffer.alloc(32 * MEBIBYTE));

const behaviours = {
  'never answers': (socket) => socket.resume(),
  'never reads the request': () => undefined,
  'drips its headers': onRequest((socket) => {
    drip(socket, `${OK}x-long: ${'.'.repeat(10_000)}\r\n\r\n`);
  }),
  'drips its body': onRequest((socket) => {
    socket.write(`${OK}content-length: 10000\r\n\r\n`);
    drip(socket, '.'.repeat(10_000));
  }),
  'resets at once': (socket) => socket.resetAndDestroy(),
  'resets after the request': onRequest((socket) => socket.resetAndDestroy()),
  'resets in the middle of its body': onRequest((socket) => {
    socket.write(`${OK}content-length: 10000\r\n\r\nhalf`);
    setTimeout(() => socket.resetAndDestroy(), 50);
  }),
  'hangs up without a word': onRequest((socket) => socket.end()),
  'hangs up in the middle of its body': onRequest((socket) => socket.end(`${OK}content-length: 10000\r\n\r\nhalf`)),
  'hangs up in the middle of a chunk': onRequest((socket) =>
    socket.end(`${OK}transfer-encoding: chunked\r\n\r\nff\r\nhalf`),
  ),
  'refuses before it has read': (socket) => socket.end('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n'),
  'has a body without end': onRequest((socket) => {
    pour(socket, OK + '\r\n', '.'.repeat(64 * 1024));
  }),
  'has headers without end': onRequest((socket) => {
    pour(socket, OK, `x-more: ${'.'.repeat(8 * 1024)}\r\n`);
  }),
  'has one huge header': onRequest((socket) => socket.end(`${OK}x-huge: ${'.'.repeat(MEBIBYTE)}\r\n\r\n`)),
  'sends a gzip bomb': onRequest((socket) => {
    socket.write(`${OK}content-encoding: gzip\r\ncontent-length: ${BOMB.length}\r\n\r\n`);
    socket.end(BOMB);
  }),
  'sends 100 Continue and nothing else': onRequest((socket) => socket.write('HTTP/1.1 100 Continue\r\n\r\n')),
  'sends 103 Early Hints and nothing else': onRequest((socket) => {
    every(1, socket, () => socket.write('HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n'));
  }),
  'sends 103 Early Hints, then answers': onRequest((socket) =>
    socket.end(`HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n${OK}content-length: 2\r\n\r\nok`),
  ),
  'switches protocols': onRequest((socket) =>
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'),
  ),
  'sends a body with its 204': onRequest((socket) =>
    socket.end('HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello'),
  ),
  'speaks another protocol': (socket) => socket.write('SSH-2.0-OpenSSH_9.6\r\n'),
  'sends a broken status line': onRequest((socket) => socket.end('HTTP/1.1 2OO OK\r\n\r\n')),
  'sends a broken header': onRequest((socket) => socket.end(`${OK}no colon here\r\n\r\n`)),
  'gives two lengths': onRequest((socket) => socket.end(`${OK}content-length: 2\r\ncontent-length: 3\r\n\r\nokk`)),
  'sends a broken chunk': onRequest((socket) => socket.end(`${OK}transfer-encoding: chunked\r\n\r\nzz\r\n`)),
  'answers well': onRequest((socket) => socket.end(`${OK}content-length: 2\r\n\r\nok`)),
} satisfies Record<string, Behaviour>;

export type NastyBehaviour = keyof typeof behaviours;

/**
 * What stands before HTTP: nothing, TLS with a self-signed certificate, or nothing although the URL says https.
 */
export type Transport = 'tcp' | 'self-signed tls' | 'tcp under an https url';

export interface NastyReceiver {
  url: string;
  port: number;
  /** How many bytes the sender's side has let this receiver send, over all connections, TLS not counted. */
  bytesSent(): number;
  /** All that were ever made. */
  connections(): number;
  openConnections(): number;
  close(): Promise<void>;
}

/** A receiver on 127.0.0.1 that misbehaves in the given way on every connection. */
export async function startNastyReceiver(
  behaviour: NastyBehaviour,
  transport: Transport = 'tcp',
): Promise<NastyReceiver> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let bytesOfClosed = 0;
  const accept = (socket: Socket): void => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      sockets.delete(socket);
      bytesOfClosed += socket.bytesWritten;
    });
    behaviours[behaviour](socket);
  };
  const server = transport === 'self-signed tls' ? createTlsServer(localhostTls, accept) : createServer(accept);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${transport === 'tcp' ? 'http' : 'https'}://127.0.0.1:${port}/hook`,
    port,
    bytesSent: () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, bytesOfClosed),
    connections: () => connections,
    openConnections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Waits for the head of the request, reads the rest away, and then misbehaves. */
function onRequest(then: Behaviour): Behaviour {
  return (socket) => {
    let head = '';
    const read = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', read);
      socket.resume();
      then(socket);
    };
    socket.on('data', read);
  };
}

function drip(socket: Socket, text: string): void {
  let next = 0;
  every(20, socket, () => socket.write(text.charAt(next++)));
}

/** Writes as fast as the other side takes it, without end. */
function pour(socket: Socket, first: string, more: string): void {
  socket.write(first);
  const write = (): void => {
    while (socket.writable && socket.write(more));
  };
  socket.on('drain', write);
  write();
}

function every(ms: number, socket: Socket, act: () => void): void {
  const timer = setInterval(act, ms);
  socket.on('close', () => {
    clearInterval(timer);
  });
}
