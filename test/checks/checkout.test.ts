import { lstat, mkdtemp, readdir, readFile, readlink, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CheckoutFile, writeCheckout } from '../../src/checks/checkout.ts';
import { readBlobs } from '../../src/git/blobs.ts';
import type { Clone } from '../../src/git/clone.ts';
import { createGit } from '../../src/git/git.ts';
import { treeEntries } from '../../src/git/tree.ts';
import { createRepository, type Item } from '../support/git-repository.ts';

let folder: string;
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'forgeflow-checkout-')));
});
afterEach(() => rm(folder, { recursive: true }));

/** As an activity does it: what git has, one blob in memory at a time. */
async function* filesOf(clone: Clone, commit: string, limitBytes: number): AsyncGenerator<CheckoutFile> {
  async function* wanted() {
    for await (const { path, kind, id, sizeBytes } of treeEntries(clone, commit)) {
      if (kind !== 'submodule') yield { path, kind, id, sizeBytes: sizeBytes ?? 0 };
    }
  }
  for await (const { wanted: file, content } of readBlobs(clone, wanted(), { limitBytes })) yield { ...file, content };
}

async function* given(...files: [path: string, content: string, kind?: CheckoutFile['kind']][]) {
  await Promise.resolve();
  for (const [path, content, kind = 'file'] of files) {
    yield { path: Buffer.from(path), kind, content: Buffer.from(content) };
  }
}

test('U4a: a checkout is what git has, byte by byte, without filters, hooks and submodules', async () => {
  const tree: Record<string, Item> = {
    '.gitattributes': '* text eol=crlf filter=evil\n',
    'a/b/c.txt': 'one\ntwo\n',
    'run.sh': { mode: '100755', content: '#!/bin/sh\n' },
    link: { mode: '120000', content: 'a/b/c.txt' },
    up: { mode: '120000', content: 'a/../run.sh' },
    'a/dangling': { mode: '120000', content: '../nowhere' },
    sub: { mode: '160000', commit: '5'.repeat(40) },
    'large.bin': Buffer.alloc(5_000),
    'sp ace/ü\n"x': 'odd',
  };
  const repository = await createRepository(join(folder, 'r.git'));
  const [commit] = await repository.commit({ ref: 'refs/heads/main', tree });
  await repository.git('config', 'filter.evil.smudge', `touch ${folder}/smudged`);
  await writeFile(join(repository.directory, 'hooks/post-checkout'), `#!/bin/sh\ntouch ${folder}/hooked\n`, {
    mode: 0o755,
  });
  const clone = { git: await createGit(), directory: repository.directory };
  const target = await mkdtemp(join(folder, 'checkout-'));

  const checkout = await writeCheckout(target, filesOf(clone, commit!, 4_000));

  expect(checkout).toMatchObject({ files: 7, omitted: [Buffer.from('large.bin')] });
  expect((await readdir(target, { recursive: true })).sort()).toEqual(
    ['.gitattributes', 'a', 'a/b', 'a/b/c.txt', 'a/dangling', 'link', 'run.sh', 'sp ace', 'sp ace/ü\n"x', 'up'].sort(),
  );
  expect(await readFile(join(target, 'link'), 'utf8')).toBe('one\ntwo\n');
  expect(await readlink(join(target, 'up'))).toBe('a/../run.sh');
  expect((await lstat(join(target, 'run.sh'))).mode & 0o777).toBe(0o755);
  expect((await lstat(join(target, 'a/b/c.txt'))).mode & 0o111).toBe(0);
  expect(await readdir(folder)).not.toEqual(expect.arrayContaining(['smudged']));
  expect(await readdir(folder)).not.toEqual(expect.arrayContaining(['hooked']));
});

describe('U4a: a checkout does not leave its folder', () => {
  test.each([['/etc/passwd'], ['../outside'], ['a/../../outside'], ['..'], ['']])(
    'by a symlink to "%s"',
    async (leads) => {
      const checkout = await writeCheckout(folder, given(['link', leads, 'symlink'], ['a/x', '']));
      expect(checkout.omitted).toEqual([Buffer.from('link')]);
      expect(await readdir(folder)).toEqual(['a']);
    },
  );

  test('by a symlink that leads out by way of another', async () => {
    const links = (): AsyncGenerator<CheckoutFile> =>
      given(['d/e/top', '../..', 'symlink'], ['out', 'd/e/top/../x', 'symlink'], ['loop', 'loop', 'symlink']);
    await writeFile(join(folder, 'x'), 'outside');
    const target = await mkdtemp(join(folder, 'checkout-'));
    expect((await writeCheckout(target, links())).omitted).toEqual([Buffer.from('out')]);
    expect((await readdir(target)).sort()).toEqual(['d', 'loop']);
  });

  test.each([['../a'], ['a/../../b'], ['/a'], ['a//b'], ['.git/hooks/x'], ['sub/.GIT/config'], ['.'], ['']])(
    'by the path "%s"',
    async (path) => {
      await expect(writeCheckout(folder, given([path, 'x']))).rejects.toThrow('the tree has a path that is none');
      expect(await readdir(folder)).toEqual([]);
    },
  );

  test('by a folder that is a symlink at another place of the tree', async () => {
    const both = given(['a', '/tmp', 'symlink'], ['a/x', 'through']);
    const checkout = await writeCheckout(folder, both);
    expect(checkout.omitted).toEqual([Buffer.from('a')]);
    const within = given(['b', 'a', 'symlink'], ['b/x', 'through']);
    await expect(writeCheckout(folder, within)).rejects.toThrow('two paths that are one');
    expect((await readdir(folder, { recursive: true })).sort()).toEqual(['a', 'a/x', 'b', 'b/x']);
  });
});

test('U4a: a checkout is broken off, and fails where reading fails', async () => {
  const stop = AbortSignal.abort(new Error('enough'));
  await expect(writeCheckout(folder, given(['a', '']), stop)).rejects.toThrow('enough');
  async function* broken(): AsyncGenerator<CheckoutFile> {
    yield* given(['a', 'x']);
    throw new Error('the clone is broken');
  }
  await expect(writeCheckout(folder, broken())).rejects.toThrow('the clone is broken');
});

test('U4a: a checkout of many files takes no time to speak of', async () => {
  const many = given(
    ...Array.from({ length: 2_000 }, (_, i): [string, string] => [`d${i % 50}/f${i}`, 'x'.repeat(100)]),
  );
  expect(await writeCheckout(folder, many)).toEqual({ files: 2_000, bytes: 200_000, omitted: [] });
});
