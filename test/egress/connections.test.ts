import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAddressGuard } from '../../src/egress/address-guard.ts';
import { createSender, type OutgoingRequest, type Sender } from '../../src/egress/send.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, onConnection: number) => void;

let sender: Sender;
let server: Server;
let answer: Answer;
/** Connections that were opened, those that are open, and requests that came. */
let seen: { opened: number; open: Set<Socket>; requests: number };

beforeEach(async () => {
  sender = createSender({ guard: createAddressGuard(['127.0.0.0/8']), timeoutMs: 1_000 });
  seen = { opened: 0, open: new Set(), requests: 0 };
  answer = (_request, response) => response.writeHead(200).end('thanks');
  const counts = new WeakMap<Socket, number>();
  server = createServer({ keepAliveTimeout: 20_000 }, (request, response) => {
    request.resume().once('end', () => {
      seen.requests += 1;
      const onConnection = (counts.get(request.socket) ?? 0) + 1;
      counts.set(request.socket, onConnection);
      answer(request, response, onConnection);
    });
  });
  server.on('connection', (socket) => {
    seen.opened += 1;
    seen.open.add(socket);
    socket.once('close', () => seen.open.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await sender.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function post(): ReturnType<Sender['post']> {
  const { port } = server.address() as AddressInfo;
  const request: OutgoingRequest = { url: `http://127.0.0.1:${port}/hook`, headers: {}, body: '{}' };
  return sender.post(request);
}

test('E14: requests that follow one another share a connection; those at once have one each', async () => {
  for (let n = 0; n < 5; n += 1) expect(await post()).toMatchObject({ statusCode: 200 });
  expect(seen.requests).toBe(5);
  const before = seen.opened;
  expect(before).toBeLessThan(3); // 1, unless this process stood still for a second
  await Promise.all([post(), post(), post()]);
  expect(seen.requests).toBe(8);
  expect(seen.opened - before).toBeGreaterThanOrEqual(2);
});

test('E14: a connection that nobody uses is left after a second, and at the end', async () => {
  await post();
  expect(seen.open.size).toBe(1);
  await expect.poll(() => seen.open.size, { timeout: 10_000 }).toBe(0);
  await post();
  expect(seen.opened).toBe(2);
  await sender.close();
  await expect.poll(() => seen.open.size, { timeout: 500 }).toBe(0);
});

test('E14: a receiver that closes it just as it is used again gets the request on another one', async () => {
  answer = (request, response, onConnection) => {
    if (onConnection === 1) response.writeHead(200).end();
    else request.socket.destroy();
  };
  expect(await post()).toMatchObject({ statusCode: 200 });
  expect(await post()).toMatchObject({ statusCode: 200 });
  expect(seen).toMatchObject({ opened: 2, requests: 3 });
});

test('D3: one that is reset on a connection of its own is a failed attempt, not made again', async () => {
  answer = (request) => request.socket.destroy();
  expect(await post()).toMatchObject({ kind: 'connection_error' });
  expect(await post()).toMatchObject({ kind: 'connection_error' });
  expect(seen).toMatchObject({ opened: 2, requests: 2 });
});

test('D3: one that is not answered in time is not made again, and its connection is left', async () => {
  answer = (_request, response, onConnection) => {
    if (onConnection === 1) response.writeHead(200).end();
  };
  await post();
  expect(await post()).toMatchObject({ reason: 'timed out after 1000 ms' });
  await expect.poll(() => seen.open.size).toBe(0);
  expect(seen).toMatchObject({ opened: 1, requests: 2 });
});

test('D13: an answer that is cut off, or said to be the last, leaves no connection for the next', async () => {
  answer = (_request, response) => response.writeHead(200).end(Buffer.alloc(100_000));
  expect(await post()).toMatchObject({ truncated: true });
  answer = (_request, response) => response.writeHead(200, { connection: 'close' }).end();
  await post();
  expect(await post()).toMatchObject({ statusCode: 200 });
  expect(seen).toMatchObject({ opened: 3, requests: 3 });
});
