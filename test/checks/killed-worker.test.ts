import { spawn } from 'node:child_process';
import { mkdir, readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { sweepCheckRuns } from '../../src/checks/run-folder.ts';
import { checkWorld, commandsWith, confinements } from './check-world.ts';

test.concurrent.each(await confinements())(
  'U4a: a check ends with the worker that is killed, and what it leaves is swept (confinement: %s)',
  async (confinement) => {
    const { host, token, expectNothingLeft, remove } = await checkWorld(confinement);
    const script = new URL('check-runner-process.ts', import.meta.url).pathname;
    const command = `sleep ${token} & setsid sleep ${token} & sleep ${token}`;
    const worker = spawn(process.execPath, ['--import', 'tsx', script, host.root, confinement, command], {
      stdio: 'inherit',
    });
    const sleepers = async (): Promise<string[]> =>
      (await commandsWith(token)).filter((line) => line.startsWith('sleep '));
    while ((await sleepers()).length < 3) await sleep(50);
    worker.kill('SIGKILL');
    const others = confinement === 'none' ? 1 : 0; // it has left the group
    while ((await sleepers()).length > others) await sleep(50);

    // It gave signs of life until now.
    expect(await sweepCheckRuns(host.root)).toBe(0);
    expect(await readdir(host.root)).toHaveLength(1);
    expect(await sweepCheckRuns(host.root, { deadAfterMs: 0 })).toBe(1);
    await expectNothingLeft();
    await remove();
  },
);

test('U4a: what is swept is what has given no sign of life, and nothing that is not a run', async () => {
  const { host, remove } = await checkWorld('none');
  const long = new Date(Date.now() - 3_600_000);
  for (const name of ['1234567890', '1234567891', 'other', '12.x']) await mkdir(join(host.root, name));
  for (const name of ['1234567890', 'other', '12.x']) await utimes(join(host.root, name), long, long);
  expect(await sweepCheckRuns(host.root)).toBe(1);
  expect((await readdir(host.root)).sort()).toEqual(['12.x', '1234567891', 'other']);
  expect(await sweepCheckRuns(join(host.root, 'missing'))).toBe(0);
  await remove();
});
