import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { endProcessesOf, MARKER_VARIABLE, processesOf, scanByPs } from '../../src/checks/run-processes.ts';

const MARKER = String(2 ** 30 + Math.floor(Math.random() * 2 ** 29));
const env = { PATH: process.env['PATH'] };
const byEnvironment = spawn('sleep', ['600'], { env: { ...env, [MARKER_VARIABLE]: MARKER }, stdio: 'ignore' });
const byLimit = spawn('sh', ['-c', `ulimit -S -t 60; ulimit -H -t ${MARKER}; exec sleep 600`], {
  env,
  stdio: 'ignore',
});
const almost = spawn('sleep', ['600'], {
  env: { ...env, [MARKER_VARIABLE]: `${MARKER}0`, X: MARKER },
  stdio: 'ignore',
});

beforeAll(async () => {
  while ((await processesOf(MARKER)).length < 2) await new Promise(setImmediate);
});
afterAll(() => {
  for (const child of [byEnvironment, byLimit, almost]) child.kill('SIGKILL');
});

test('U4a: processes of a check are found by what they inherit, with their memory, and no others', async () => {
  const found = await processesOf(MARKER);
  expect(found.map(({ pid }) => pid).sort()).toEqual([byEnvironment.pid, byLimit.pid].sort());
  for (const { memoryBytes } of found) {
    expect(memoryBytes).toBeGreaterThan(10_000);
    expect(memoryBytes).toBeLessThan(50_000_000);
  }
});

test('U4a: where there is no /proc, ps finds those that keep their environment', async () => {
  const { found } = await scanByPs(MARKER);
  expect(found).toEqual([{ pid: byEnvironment.pid, memoryBytes: expect.any(Number) as number }]);
});

test('U4a: they are ended, and no others', async () => {
  const ended = Promise.all([once(byEnvironment, 'exit'), once(byLimit, 'exit')]);
  await endProcessesOf(MARKER);
  expect(await ended).toEqual(Array(2).fill([null, 'SIGKILL']));
  expect(almost.exitCode ?? almost.signalCode).toBeNull();
});
