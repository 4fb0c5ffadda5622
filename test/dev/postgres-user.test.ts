import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { postgresUser } from '../../src/dev/postgres-user.ts';

const asRoot = test.runIf(process.getuid?.() === 0);
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'forgeflow-user-'));
  chmodSync(folder, 0o755);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a program of the folder, which writes to the data that belongs to Postgres' user, and says who it is. */
async function whoWrites(): Promise<string> {
  const user = postgresUser();
  const data = join(folder, 'home', 'data');
  mkdirSync(data, { recursive: true, mode: 0o755 });
  chmodSync(data, 0o700);
  if (user.owner !== undefined) chownSync(data, user.owner.uid, user.owner.gid);
  const program = join(folder, 'sh');
  copyFileSync('/bin/sh', program);
  chmodSync(program, 0o755);
  const script = `test -x ${program} && touch ${join(data, 'written')} && id -u`;
  const { command, args, options } = user.command(program, ['-c', script], data);
  return (await execa(command, args, options)).stdout;
}

test('Postgres never runs as root', async () => {
  const uid = await whoWrites();
  expect(uid).toMatch(/^\d+$/);
  expect(uid).not.toBe('0');
});

asRoot('it gets through a folder that is closed to all but root, as a clone in /root is', async () => {
  chmodSync(folder, 0o700);
  expect(await whoWrites()).toBe(String(postgresUser().owner?.uid));
});

asRoot('where it cannot get through, one sentence says what is closed and what to do', async () => {
  chmodSync(folder, 0o700);
  writeFileSync(join(folder, 'setpriv'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
  vi.stubEnv('PATH', `${folder}:${process.env['PATH'] ?? ''}`);
  await expect(whoWrites()).rejects.toThrow(
    `no other user may use ${join(folder, 'sh')}; open the folders above it (chmod o+x), work elsewhere, or set DATABASE_URL`,
  );
});
