import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below the range from which systems take the ports of outgoing connections (32768 and up on Linux): one of those could
// be taken in the moment between our look at it and the server's.
const LOWEST = 10_000;
const HIGHEST = 32_767;
// Each process has a share of them, most often one of its own, and goes round it: two that look at the same time would
// else find the same one free, and so would one that looks twice before anybody listens.
const SHARES = 64;
const SHARE = Math.floor((HIGHEST + 1 - LOWEST) / SHARES);
const FIRST = LOWEST + (process.pid % SHARES) * SHARE;
let next = randomInt(SHARE);

/** A port of 127.0.0.1 that nobody listens on now. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < SHARE; tries++) {
    const wanted = FIRST + next;
    next = (next + 1) % SHARE;
    const port = await tryPort(wanted);
    if (port !== null) return port;
  }
  throw new Error('no free port on 127.0.0.1');
}

/** The wanted port if it is free, else another. */
export async function preferPort(wanted: number): Promise<number> {
  return (await tryPort(wanted)) ?? (await freePort());
}

export interface HeldPort {
  port: number;
  /** Leaves it to whoever it was held for, who listens to it next. */
  release(): Promise<void>;
}

/** The same, and nobody else can listen to it until it is released, however long that takes. */
export async function holdPort(wanted: number): Promise<HeldPort> {
  const holder = (await tryHold(wanted)) ?? (await tryHold(await freePort()));
  if (holder === null) throw new Error('no free port on 127.0.0.1');
  return holder;
}

async function tryHold(port: number): Promise<HeldPort | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.destroy();
    });
    server.once('error', () => {
      resolve(null);
    });
    server.listen(port, '127.0.0.1', () => {
      const release = () =>
        new Promise<void>((released) => {
          server.close(() => {
            released();
          });
        });
      resolve({ port, release });
    });
  });
}

async function tryPort(port: number): Promise<number | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(null);
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        resolve(address !== null && typeof address === 'object' ? address.port : null);
      });
    });
  });
}
