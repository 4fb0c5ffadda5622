import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeRunFolder, sweepCheckRuns } from '../../src/checks/run-folder.ts';
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

    expect(await readdir(host.root)).toHaveLength(1);
    expect(await sweepCheckRuns(host.root)).toBe(1); // although it gave signs of life until now
    await expectNothingLeft();
    await remove();
  },
);

test('U4a: a check of a worker that lives, or of another machine, is swept only when it gives no sign of life', async () => {
  const { host, remove } = await checkWorld('none');
  const runs = [await makeRunFolder(host.root), await makeRunFolder(host.root), await makeRunFolder(host.root)];
  const [ours, elsewhere, unknown] = runs.map(({ places }) => join(places.folder, 'owner'));
  expect((await readFile(ours!, 'utf8')).split('\n').slice(0, 2)).toEqual([hostname(), String(process.pid)]);
  await writeFile(elsewhere!, `another-machine\n${2 ** 22 + 1}\n1`);
  await rm(unknown!);
  expect(await sweepCheckRuns(host.root)).toBe(0);
  // The number is another process's by now.
  await writeFile(elsewhere!, `${hostname()}\n${process.pid}\n1`);
  expect(await sweepCheckRuns(host.root)).toBe(1);
  expect(await sweepCheckRuns(host.root, { deadAfterMs: -1 })).toBe(2);
  await remove();
});

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
