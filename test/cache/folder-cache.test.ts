import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keyOf, keyProblem, nameOf } from '../../src/cache/artefact-name.ts';
import { FolderCache } from '../../src/cache/folder-cache.ts';
import { cacheContract, putText, textOf } from './cache-contract.ts';

let folder: string;
let cache: FolderCache;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'forgeflow-cache-'));
  cache = new FolderCache(join(folder, 'cache'));
});
afterAll(async () => {
  expect(await readdir(folder)).toEqual(['cache']);
  const left = await readdir(join(folder, 'cache'), { recursive: true });
  expect(left.filter((name) => name.includes('.partial-'))).toEqual([]);
  await rm(folder, { recursive: true });
});

cacheContract('a cache in a folder', () => cache, 40);

test('U6: what a killed process left in the folder is no artefact, and goes when it is old', async () => {
  const id = 9_000_001;
  const inside = join(folder, 'cache', String(id));
  await putText(cache, id, 'a', 'x');
  const old = new Date(Date.now() - 2 * 3_600_000);
  for (const name of ['.partial-new', '.partial-old', 'NotOurs', '~zz', '~61'])
    await writeFile(join(inside, name), 'x');
  await utimes(join(inside, '.partial-old'), old, old);
  await mkdir(join(inside, 'folder'));
  await symlink('/etc/passwd', join(inside, 'link'));
  expect((await cache.list(id)).map(({ key }) => key)).toEqual(['a']);
  const left = (await readdir(inside)).sort();
  expect(left).toEqual(['.partial-new', 'NotOurs', 'a', 'folder', 'link', '~61', '~zz']);
  await cache.purge(id);
  expect(await readdir(join(folder, 'cache'))).not.toContain(String(id));
});

test('U6: purging and putting at the same time leaves the folder usable', async () => {
  const id = 9_000_002;
  const puts = Array.from({ length: 30 }, async (_, i) => putText(cache, id, `k${i}`, 'x').catch(() => undefined));
  await Promise.all([cache.purge(id), ...puts, cache.purge(id)]);
  await putText(cache, id, 'a', 'still');
  expect(await textOf(cache, id, 'a')).toBe('still');
});

test('U6: every key has a name of its own that is safe, and is found again by it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }), (key) => {
      const name = nameOf(key);
      expect(name).toMatch(/^[a-z0-9_~-][a-z0-9._~-]*$/);
      expect(keyOf(name)).toBe(key);
    }),
  );
  fc.assert(
    fc.property(fc.stringMatching(/^[~a-f0-9A.]{1,8}$/), (name) => {
      const key = keyOf(name);
      expect(key === null || nameOf(key) === name).toBe(true);
    }),
  );
  expect([keyProblem('ok'), keyProblem('é'.repeat(40)), keyProblem('é'.repeat(41))]).toEqual([
    null,
    null,
    'is too long: more than 240 bytes as a name',
  ]);
});
