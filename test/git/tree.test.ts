import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBlobs, readUnsized } from '../../src/git/blobs.ts';
import type { Clone } from '../../src/git/clone.ts';
import { createGit } from '../../src/git/git.ts';
import { changedEntries, type TreeChange, treeEntries, type TreeEntry } from '../../src/git/tree.ts';
import { createRepository, temporaryFolder, type TestRepository } from '../support/git-repository.ts';

const POINTER = `version https://git-lfs.github.com/spec/v1\noid sha256:${'4d7a'.repeat(16)}\nsize 12345\n`;
const SUBMODULE = '5'.repeat(40);
const ODD = {
  'new\nline': 'a',
  '\xff\xfe invalid': 'b',
  'tab\tand "quotes"': 'c',
  ' spaces ': 'd',
  '-rf': 'e',
  'd/:(top)': 'f',
};

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let clone: Clone;
let repository: TestRepository;
let ids: string[];

beforeAll(async () => {
  folder = await temporaryFolder();
  repository = await createRepository(`${folder.path}/r.git`);
  ids = await repository.commit(
    { ref: 'refs/heads/main', tree: ODD, bytePaths: true },
    {
      ref: 'refs/heads/main',
      parents: [0],
      tree: {
        plain: 'text\n',
        empty: '',
        run: { mode: '100755', content: '#!/bin/sh\n' },
        link: { mode: '120000', content: '/etc/passwd' },
        sub: { mode: '160000', commit: SUBMODULE },
        'large.bin': POINTER,
        'd/e/f': 'deep',
      },
    },
    {
      ref: 'refs/heads/main',
      parents: [1],
      tree: {
        plain: 'other text\n',
        run: '#!/bin/sh\n',
        link: 'a file now',
        sub: { mode: '160000', commit: '6'.repeat(40) },
        'large.bin': POINTER,
        'moved/f': 'deep',
      },
    },
  );
  clone = { git: await createGit(), directory: repository.directory };
});

afterAll(() => folder.remove());

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const byName = (entries: TreeEntry[]): Record<string, TreeEntry> =>
  Object.fromEntries(entries.map((entry) => [entry.path.toString('latin1'), entry]));
const size = (text: string): number => Buffer.byteLength(text);

describe('the entries of a tree', () => {
  test('J10: paths with newlines, quotes, and bytes that are no UTF-8 come as they are', async () => {
    const found = await all(treeEntries(clone, ids[0]!));
    expect(found.map(({ path }) => path.toString('latin1')).sort()).toEqual(Object.keys(ODD).sort());
  });

  test('J10: each is told by what it is; symlinks and submodules are not followed', async () => {
    const found = byName(await all(treeEntries(clone, ids[1]!)));
    expect(Object.keys(found).sort()).toEqual(['d/e/f', 'empty', 'large.bin', 'link', 'plain', 'run', 'sub']);
    expect(found['plain']).toMatchObject({ kind: 'file', sizeBytes: 5 });
    expect(found['empty']).toMatchObject({ kind: 'file', sizeBytes: 0 });
    expect(found['run']).toMatchObject({ kind: 'executable' });
    expect(found['link']).toMatchObject({ kind: 'symlink', sizeBytes: size('/etc/passwd') });
    expect(found['sub']).toEqual({ path: Buffer.from('sub'), kind: 'submodule', id: SUBMODULE, sizeBytes: null });
    expect(found['large.bin']).toMatchObject({ kind: 'file', sizeBytes: size(POINTER) });
    const without = await all(treeEntries(clone, ids[1]!, { sizes: false }));
    expect(without).toEqual(Object.values(found).map((entry) => ({ ...entry, sizeBytes: null })));
  });

  test('J10: a tree of more than fits in one chunk', async () => {
    const names = Array.from({ length: 5_000 }, (_, at) => `folder ${at % 7}/${'n'.repeat(at % 90)}${at}`);
    const tree = Object.fromEntries(names.map((name) => [name, 'x']));
    const big = await createRepository(`${folder.path}/big.git`);
    const [commit] = await big.commit({ ref: 'refs/heads/main', tree });
    const found = await all(treeEntries({ ...clone, directory: big.directory }, commit!));
    expect(found.map(({ path }) => String(path)).sort()).toEqual([...names].sort());
  });

  test('J10: whoever stops reading ends git; a commit that is not there is not found', async () => {
    const entries = treeEntries(clone, ids[0]!);
    expect((await entries.next()).done).toBe(false);
    await entries.return(undefined);
    await expect(all(treeEntries(clone, '7'.repeat(40)))).rejects.toMatchObject({ kind: 'not_found' });
    await expect(all(treeEntries(clone, '--help'))).rejects.toMatchObject({ kind: 'failed' });
  });
});

describe('the changes between two trees', () => {
  test('J10: all that differs, a move being one path that goes and one that comes', async () => {
    const found = await all(changedEntries(clone, ids[1]!, ids[2]!));
    const shown = Object.fromEntries(
      found.map(({ path, before, after }: TreeChange) => [String(path), [before?.kind ?? null, after?.kind ?? null]]),
    );
    expect(shown).toEqual({
      'd/e/f': ['file', null],
      empty: ['file', null],
      link: ['symlink', 'file'],
      'moved/f': [null, 'file'],
      plain: ['file', 'file'],
      run: ['executable', 'file'],
      sub: ['submodule', 'submodule'],
    });
    const entries = byName(await all(treeEntries(clone, ids[2]!)));
    for (const { path, after } of found) if (after !== null) expect(entries[String(path)]?.id).toBe(after.id);
  });

  test('J10: odd paths; nothing where nothing differs; commits that are not there', async () => {
    const found = await all(changedEntries(clone, ids[0]!, ids[1]!));
    const gone = found.filter(({ after }) => after === null).map(({ path }) => path.toString('latin1'));
    expect(gone.sort()).toEqual(Object.keys(ODD).sort());
    expect(await all(changedEntries(clone, ids[1]!, ids[1]!))).toEqual([]);
    await expect(all(changedEntries(clone, '8'.repeat(40), ids[1]!))).rejects.toMatchObject({ kind: 'not_found' });
  });
});

describe('the contents of blobs', () => {
  test('J10: in the order wanted, the same one twice too; those above the limit are told, not read', async () => {
    const { plain, link, empty, 'large.bin': large } = byName(await all(treeEntries(clone, ids[1]!)));
    const wanted = [large, plain, large, empty, link, plain, large].map((entry) => ({
      ...entry!,
      sizeBytes: entry!.sizeBytes!,
    }));
    const found = await all(readBlobs(clone, wanted, { limitBytes: 11 }));
    expect(found.map(({ content }) => content?.toString() ?? null)).toEqual([
      null,
      'text\n',
      null,
      '',
      '/etc/passwd',
      'text\n',
      null,
    ]);
    expect(found.map((blob) => blob.wanted)).toEqual(wanted);
    expect(await all(readBlobs(clone, [], { limitBytes: 11 }))).toEqual([]);
    expect(await all(readBlobs(clone, wanted.slice(0, 1), { limitBytes: 0 }))).toEqual([
      { wanted: wanted[0], content: null },
    ]);
  });

  test('J10: what changed is read without knowing its size, but for what turns out too large', async () => {
    const ofFiles = (await all(changedEntries(clone, ids[1]!, ids[2]!))).flatMap(({ after, path }) =>
      after !== null && after.kind !== 'submodule' ? [{ path, ...after }] : [],
    );
    const found = await all(readUnsized(clone, [...ofFiles, ...ofFiles], { limitBytes: 10 }));
    expect(found.map(({ wanted }) => wanted)).toEqual([...ofFiles, ...ofFiles]);
    const lengths = found.map(({ wanted, content }) => [String(wanted.path), content?.length ?? null]);
    expect(lengths.slice(0, 4)).toEqual(lengths.slice(4));
    expect(Object.fromEntries(lengths)).toEqual({ link: 10, 'moved/f': 4, plain: null, run: 10 });
    expect(await all(readUnsized(clone, [], { limitBytes: 10 }))).toEqual([]);
  });

  test('J10: a blob that is missing is a sign of a broken clone; what is none, too', async () => {
    const plain = byName(await all(treeEntries(clone, ids[1]!)))['plain']!;
    for (const id of ['9'.repeat(40), ids[0]!]) {
      const wanted = [
        { id: plain.id, sizeBytes: 5 },
        { id, sizeBytes: 5 },
      ];
      await expect(all(readBlobs(clone, wanted, { limitBytes: 100 }))).rejects.toMatchObject({ kind: 'corrupt' });
      await expect(all(readUnsized(clone, wanted, { limitBytes: 100 }))).rejects.toMatchObject({ kind: 'corrupt' });
    }
    await expect(all(readUnsized(clone, [{ id: '--all' }], { limitBytes: 1 }))).rejects.toMatchObject({
      kind: 'failed',
    });
  });

  test('J10: what the list of wanted blobs throws is thrown, and git ends', async () => {
    const plain = byName(await all(treeEntries(clone, ids[1]!)))['plain']!;
    async function* broken(): AsyncGenerator<{ id: string; sizeBytes: number }> {
      yield { id: plain.id, sizeBytes: 5 };
      await Promise.resolve();
      throw new Error('no more');
    }
    await expect(all(readBlobs(clone, broken(), { limitBytes: 1 }))).rejects.toThrow('no more');
  });

  test('J10: read slowly, git waits, and so does the list of what is wanted: memory stays flat', async () => {
    const big = await createRepository(`${folder.path}/blobs.git`);
    const content = Buffer.alloc(256 * 1024, 'x');
    const [commit] = await big.commit({ ref: 'refs/heads/main', tree: { big: content } });
    const bigClone = { ...clone, directory: big.directory };
    const [entry] = await all(treeEntries(bigClone, commit!));
    const total = 40_000; // 10 GiB
    let asked = 0;
    async function* wanted(): AsyncGenerator<{ id: string; sizeBytes: number }> {
      for (; asked < total; asked += 1) yield { id: entry!.id, sizeBytes: content.length };
      await Promise.resolve();
    }
    const before = process.memoryUsage.rss();
    let read = 0;
    for await (const blob of readBlobs(bigClone, wanted(), { limitBytes: content.length })) {
      expect(blob.content!.length).toBe(content.length);
      read += 1;
      if (read <= 5) await new Promise((resolve) => setTimeout(resolve, 100));
      if (read === 5) expect(asked).toBeLessThan(10_000); // what the pipes hold
      if (read === 2_000) break;
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(150 * 1024 * 1024);
    expect(asked).toBeLessThan(total);
  });
});
