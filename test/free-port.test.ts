import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort, holdPort, preferPort } from '../src/free-port.ts';

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true);
      });
    });
  });

test('a port that is held is nobody else’s, until it is released', async () => {
  const wanted = await freePort();
  const held = await holdPort(wanted);
  expect(held.port).toBe(wanted);
  expect(await listens(wanted)).toBe(false);
  expect(await preferPort(wanted)).not.toBe(wanted);
  const other = await holdPort(wanted);
  expect(other.port).not.toBe(wanted);
  for (const each of [held, held, other]) await each.release();
  expect([await listens(wanted), await listens(other.port)]).toEqual([true, true]);
});

test('a port is not offered twice in a row, though nobody has begun to listen to it', async () => {
  const offered: number[] = [];
  for (let count = 0; count < 100; count++) offered.push(await freePort());
  expect(new Set(offered).size).toBe(100);
});
