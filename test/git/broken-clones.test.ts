import { readdir, readFile, rm, stat, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Clone } from '../../src/git/clone.ts';
import { branchHead, defaultBranch } from '../../src/git/refs.ts';
import {
  fetchingProcess,
  fill,
  MAIN,
  noise,
  processesOf,
  type Project,
  startProject,
  work,
} from '../support/git-project.ts';

let project: Project;
let repository: Project['repository'];
let server: Project['server'];
let clones: Project['clones'];
let remote: Project['remote'];
let storage: string;

beforeEach(async () => {
  project = await startProject();
  ({ repository, server, clones, remote, storage } = project);
});

afterEach(() => project.close());

describe('a fetch that was killed', () => {
  test.each([
    ['the first', false],
    ['a later', true],
  ])(
    'J6: %s one, with its process, in mid-transfer: git ends too, and the next fetch goes through',
    async (_, hasClone) => {
      await fill(repository);
      if (hasClone) {
        await clones.fetch(1, remote);
        await repository.commit({
          ref: MAIN,
          parents: [1],
          tree: Object.fromEntries(Array.from({ length: 150 }, (__, at) => [`n/${at}`, noise(2_000)])),
        });
      }
      server.decide(({ method }) => (method === 'POST' ? { afterBytes: 100_000, then: 'stall' } : null));
      const other = fetchingProcess(project, 1);
      await until(async () => (await contents('tmp_pack')).length > 0);
      other.kill('SIGKILL');
      await other;
      server.decide(() => null);
      const before = Date.now();
      const clone = await clones.fetch(1, remote, { timeoutMs: 20_000 });
      expect(Date.now() - before).toBeLessThan(10_000);
      expect(await branchHead(clone, 'main')).toBe((await repository.git('rev-parse', 'main')).trim());
      expect(await project.names()).toEqual(['1.git', '1.lock']);
      expect(await contents('tmp_')).toEqual([]);
      expect(await processesOf(project)).toEqual([]);
    },
  );

  test('J6: lock files that git left behind keep nobody out', async () => {
    await fill(repository);
    const { directory } = await clones.fetch(1, remote);
    await repository.commit({ ref: MAIN, parents: [1], tree: { news: '' } });
    const left = [
      'packed-refs.lock',
      'refs/heads/main.lock',
      'HEAD.lock',
      'config.lock',
      'objects/info/commit-graph.lock',
    ];
    for (const file of [...left, 'objects/pack/tmp_pack_x', 'objects/pack/pack-1234.keep'])
      await writeFile(join(directory, file), '');
    await clones.fetch(1, remote);
    expect(await contents('.lock')).toEqual([]);
    expect(await contents('.keep')).toEqual([]);
    expect(await branchHead(clones.open(1), 'main')).toBe((await repository.git('rev-parse', 'main')).trim());
  });
});

async function contents(part: string): Promise<string[]> {
  const all = await readdir(join(storage, 'repositories'), { recursive: true }).catch(() => []);
  return all.filter((name) => name.includes(part) && name !== '1.lock');
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries > 500) throw new Error('it did not come');
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

describe('a broken clone', () => {
  const pack = async (directory: string, ending: string): Promise<string> => {
    const packs = join(directory, 'objects', 'pack');
    const name = (await readdir(packs)).find((file) => file.endsWith(ending))!;
    return join(packs, name);
  };
  const damages: Record<string, (directory: string) => Promise<void>> = {
    'no HEAD': (directory) => unlink(join(directory, 'HEAD')),
    'nothing but a folder': async (directory) => {
      for (const name of await readdir(directory)) await rm(join(directory, name), { recursive: true });
    },
    'a file in its place': async (directory) => {
      await rm(directory, { recursive: true });
      await writeFile(directory, 'not a repository');
    },
    'a link to nowhere in its place': async (directory) => {
      await rm(directory, { recursive: true });
      await symlink('/nowhere', directory);
    },
    'no objects': (directory) => rm(join(directory, 'objects'), { recursive: true }),
    'no pack': async (directory) => unlink(await pack(directory, '.pack')),
    'no index of the pack': async (directory) => unlink(await pack(directory, '.idx')),
    'half a pack': async (directory) => {
      const path = await pack(directory, '.pack');
      await truncate(path, Math.floor((await stat(path)).size / 2));
    },
    'an empty pack': async (directory) => truncate(await pack(directory, '.pack')),
    'an empty index': async (directory) => truncate(await pack(directory, '.idx')),
    'an unreadable config': (directory) => writeFile(join(directory, 'config'), '[core\nnonsense'),
    'an unreadable list of refs': (directory) => writeFile(join(directory, 'packed-refs'), 'nonsense\n'),
    'an empty ref': (directory) => writeFile(join(directory, 'refs/heads/main'), ''),
    'a ref to nothing': (directory) => writeFile(join(directory, 'refs/heads/main'), `${'1'.repeat(40)}\n`),
    'a ref to nothing, under a name of its own': (directory) =>
      writeFile(join(directory, 'refs/heads/x'), `${'1'.repeat(40)}\n`),
  };

  test.each(Object.keys(damages))('J6: %s: made anew, once, and the job goes on', async (damage) => {
    await fill(repository);
    const { directory } = await clones.fetch(1, remote);
    const expected = await work(clones.open(1));
    await rm(await pack(directory, '.pack').then((path) => path.replace('.pack', '.rev')), { force: true });
    await damages[damage]!(directory);
    expect(await clones.use(1, remote, work)).toEqual(expected);
    expect(await project.names()).toEqual(['1.git', '1.lock']);
    await execa('git', ['fsck', '--strict'], { cwd: directory });
  });

  // GIT_FLIPS=2000 for a longer run.
  const FLIPS = Number(process.env['GIT_FLIPS'] ?? 15);
  test(
    `J6: a byte wrong anywhere in a pack or its index never gives another result (${FLIPS} times)`,
    { timeout: 60_000 + FLIPS * 3_000 },
    async () => {
      await fill(repository);
      const { directory } = await clones.fetch(1, remote);
      const expected = await work(clones.open(1));
      const place = fc.record({
        ending: fc.constantFrom('.pack', '.idx'),
        at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        bits: fc.integer({ min: 1, max: 255 }),
      });
      await fc.assert(
        fc.asyncProperty(place, async ({ ending, at, bits }) => {
          const path = await pack(directory, ending);
          const bytes = await readFile(path);
          bytes[Math.floor(at * bytes.length)]! ^= bits;
          await unlink(path);
          await writeFile(path, bytes);
          expect(await clones.use(1, remote, work)).toEqual(expected);
        }),
        { numRuns: FLIPS },
      );
    },
  );

  test('J6: found out by several jobs at once, it is made anew once', async () => {
    await fill(repository);
    const { directory } = await clones.fetch(1, remote);
    const expected = await work(clones.open(1));
    const before = (await stat(directory)).ino;
    const path = await pack(directory, '.pack');
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(0, 100_000, 150_000));
    server.requests.length = 0;
    const results = await Promise.all(Array.from({ length: 5 }, () => clones.use(1, remote, work)));
    for (const result of results) expect(result).toEqual(expected);
    expect((await stat(directory)).ino).not.toBe(before);
    const wholePacks = server.requests.filter(({ method }) => method === 'POST').length;
    expect(wholePacks).toBeLessThan(15);
  });

  test('J6: a job that finds the fresh one broken too fails', async () => {
    await fill(repository);
    let times = 0;
    const broken = async (clone: Clone): Promise<never> => {
      times += 1;
      for (const name of await readdir(clone.directory)) await rm(join(clone.directory, name), { recursive: true });
      await defaultBranch(clone);
      throw new Error('it should have failed');
    };
    await expect(clones.use(1, remote, broken)).rejects.toMatchObject({ kind: 'corrupt' });
    expect(times).toBe(2);
  });

  test('J6: what the work throws otherwise is thrown, and costs no clone', async () => {
    await fill(repository);
    let times = 0;
    const failing = async (): Promise<never> => {
      times += 1;
      await Promise.resolve();
      throw new Error('of the work');
    };
    await expect(clones.use(1, remote, failing)).rejects.toThrow('of the work');
    expect(times).toBe(1);
  });
});
