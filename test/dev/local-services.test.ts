import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { startLocalServices } from '../../src/dev/local-services.ts';
import { stopStaleServer } from '../../src/dev/stale-server.ts';

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'forgeflow-services-'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const say = (): void => undefined;

test('when one of the two does not come up, the other is not left running', async () => {
  const programs = join(home, 'bin');
  mkdirSync(programs);
  for (const name of ['python3', 'pip3', 'temporal']) {
    writeFileSync(join(programs, name), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  }
  vi.stubEnv('PATH', `${programs}:${process.env['PATH'] ?? ''}`);
  writeFileSync(join(home, 'cache'), 'not a folder, so the SDK cannot download to it either');
  vi.stubEnv('XDG_CACHE_HOME', join(home, 'cache'));
  await expect(startLocalServices({ home, say })).rejects.toThrow(/there is no Temporal CLI/);
  expect(existsSync(join(home, 'postgres', 'PG_VERSION'))).toBe(true);
  expect(existsSync(join(home, 'postgres', 'postmaster.pid'))).toBe(false);
});

test('servers that a killed dev has left are ended by the next one, which works on their data', async () => {
  const pidFile = join(home, 'temporal.pid');
  const killed = await startLocalServices({ home, say });
  const pid = Number(readFileSync(pidFile, 'utf8'));
  const next = await startLocalServices({ home, say });
  expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
  expect(Number(readFileSync(pidFile, 'utf8'))).not.toBe(pid);
  await next.stop();
  await killed.stop(); // nothing is left of it to stop
  expect(existsSync(pidFile)).toBe(false);
  expect(existsSync(join(home, 'postgres', 'postmaster.pid'))).toBe(false);
});

test('two that start at once, and so want the same ports, both come up', async () => {
  const homes = ['one', 'two'].map((name) => join(home, name));
  const services = await Promise.all(homes.map((each) => startLocalServices({ home: each, say })));
  onTestFinished(async () => {
    for (const each of services) await each.stop();
  });
  expect(new Set(services.map(({ databaseUrl }) => new URL(databaseUrl).port)).size).toBe(2);
  expect(new Set(services.flatMap(({ temporalAddress, webUiUrl }) => [temporalAddress, webUiUrl])).size).toBe(4);
});

test('a process that has only got the number of a server from long ago is left alone', async () => {
  const other = execa('sleep', ['60'], { reject: false });
  await stopStaleServer({ pid: other.pid!, itsArguments: ['postgres', home], signals: ['SIGKILL'] });
  await stopStaleServer({ pid: Number.NaN, itsArguments: [], signals: ['SIGKILL'] });
  expect(() => process.kill(other.pid!, 0)).not.toThrow();
  other.kill();
  await other;
});
