import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, type TestAPI } from 'vitest';
import { type CheckHost, createCheckHost } from '../../src/checks/check-host.ts';
import type { Confinement } from '../../src/checks/launch.ts';
import type { CheckOutcome } from '../../src/checks/outcome.ts';
import { type Check, runCheck } from '../../src/checks/run-check.ts';

/** Checks on this machine, and a way to see that nothing is left of them. */
export interface CheckWorld {
  host: CheckHost;
  /** Stands in the environment of each check, and on the command lines of what is to be found again without it. */
  token: string;
  readonly run: (command: Check['command'], more?: Partial<Check>) => Promise<CheckOutcome>;
  readonly expectNothingLeft: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

export const SARIF = JSON.stringify({
  version: '2.1.0',
  runs: [{ tool: { driver: { name: 'lint' } }, results: [{ ruleId: 'r', message: { text: 'wrong' } }] }],
});

/** Tests that have a world each, so that many can be at work; they fail where anything is left in it. */
export function testIn(confinement: Confinement): TestAPI<{ world: CheckWorld }> {
  return test.extend<{ world: CheckWorld }>({
    world: async ({}, use) => {
      const world = await checkWorld(confinement);
      await use(world);
      await world.expectNothingLeft();
      await world.remove();
    },
  });
}

/** The confinements that there are here. */
export async function confinements(): Promise<Confinement[]> {
  const world = await checkWorld();
  await world.remove();
  return world.host.confinement === 'none' ? ['none'] : ['namespaces', 'none'];
}

export async function checkWorld(confinement?: Confinement, hidden: string[] = []): Promise<CheckWorld> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'forgeflow-checks-')));
  const host = await createCheckHost({ root: join(folder, 'runs'), confinement, hidden, path: process.env['PATH'] });
  // Also a number of seconds that one can sleep.
  const token = `3600.${BigInt(`0x${randomBytes(6).toString('hex')}`)}`;
  return {
    host,
    token,
    run: (command, more = {}) =>
      runCheck(host, {
        command,
        checkOut: (checkout) => writeFile(join(checkout, 'a.js'), 'let a;\n'),
        ...more,
        env: { TOKEN: token, ...more.env },
        limits: { timeMs: 60_000, graceMs: 300, ...more.limits },
      }),
    expectNothingLeft: async () => {
      expect(await readdir(host.root)).toEqual([]);
      expect(await commandsWith(token)).toEqual([]);
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The processes whose command line or environment has that text in it; zombies have neither. */
export async function commandsWith(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const [command, environment] = await Promise.all(
      ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'latin1').catch(() => '')),
    );
    if (`${command ?? ''}${environment ?? ''}`.includes(text)) found.push(command!.replaceAll('\0', ' '));
  }
  return found;
}
