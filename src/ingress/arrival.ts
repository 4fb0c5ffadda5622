import type { IncomingMessage, Server } from 'node:http';

/** A slow sender would hold a connection for ever. */
const ARRIVES_WITHIN_MS = 30_000;
/** Whoever was refused like that and does not hang up. */
const HANGS_UP_WITHIN_MS = 1_000;

/** Between two pieces of a body that takes its time. */
const PIECE_WITHIN_MS = 60_000;

const timers = new WeakMap<IncomingMessage, NodeJS.Timeout>();

/** Refuses requests that take too long to arrive as a whole, whatever they ask for. Node would, but all after the same time. */
export function limitArrival(server: Server, withinMs = ARRIVES_WITHIN_MS): void {
  server.prependListener('request', (request: IncomingMessage) => {
    const timer = setTimeout(() => {
      if (request.complete || request.destroyed) return;
      const { socket } = request;
      const late = Object.assign(new Error('the request is late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
      server.emit('clientError', late, socket);
      setTimeout(() => socket.destroy(), HANGS_UP_WITHIN_MS).unref();
    }, withinMs).unref();
    timers.set(request, timer);
    request.once('close', () => {
      clearTimeout(timer);
    });
  });
}

/** Lets this one take its time: its sender is known, and whoever reads it looks to its progress. */
export function takeTime(request: IncomingMessage): void {
  clearTimeout(timers.get(request));
}

/** The body of a request that takes its time, piece by piece; where none comes for too long, the connection is cut. */
export async function* watched(raw: IncomingMessage, onStall: () => void): AsyncGenerator<Uint8Array> {
  const timer = setTimeout(() => {
    onStall();
    raw.destroy();
  }, PIECE_WITHIN_MS);
  try {
    for await (const piece of raw.iterator({ destroyOnReturn: false })) {
      yield piece as Uint8Array;
      timer.refresh(); // only now: while the store takes its time, it is not the sender's fault
    }
  } finally {
    clearTimeout(timer);
  }
}
