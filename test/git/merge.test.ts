import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Clone } from '../../src/git/clone.ts';
import { createGit } from '../../src/git/git.ts';
import { CONFLICT_LIMIT, trialMerge } from '../../src/git/merge.ts';
import { createRepository, type Item, temporaryFolder, type TestRepository } from '../support/git-repository.ts';

type Tree = Record<string, Item>;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let clone: Clone;
let repository: TestRepository;
let commits = 0;

beforeAll(async () => {
  folder = await temporaryFolder();
  repository = await createRepository(`${folder.path}/r:with a colon.git`);
  clone = { git: await createGit({ temporaryDirectory: folder.path }), directory: repository.directory };
});

afterAll(() => folder.remove());

/** Two branches off one commit. */
async function fork(
  ancestor: Tree,
  base: Tree,
  head: Tree,
  bytePaths = false,
): Promise<{ base: string; head: string }> {
  const first = commits;
  commits += 3;
  const ids = await repository.commit(
    { ref: 'refs/heads/ancestor', tree: ancestor, bytePaths },
    { ref: 'refs/heads/base', parents: [first], tree: base, bytePaths },
    { ref: 'refs/heads/head', parents: [first], tree: head, bytePaths },
  );
  return { base: ids[1]!, head: ids[2]! };
}

const text = (...changed: string[]): string =>
  ['one', 'two', 'three', 'four', 'five', 'six', 'seven'].map((line, at) => `${changed[at] ?? line}\n`).join('');

async function conflictsOf(sides: { base: string; head: string }): Promise<string[]> {
  const merge = await trialMerge(clone, sides);
  return merge.clean ? [] : merge.conflicts.map((path) => path.toString('latin1'));
}

describe('the trial merge', () => {
  test('J6: changes in different places merge; the tree is named, and nothing of it stays in the clone', async () => {
    const sides = await fork(
      { a: text() },
      { a: text('ONE') },
      { a: text('one', 'two', 'three', 'four', 'five', 'six', '7') },
    );
    const before = await repository.git('count-objects', '-v');
    const merge = await trialMerge(clone, sides);
    expect(merge).toEqual({ clean: true, tree: expect.stringMatching(/^[0-9a-f]{40}$/) as string });
    expect(await repository.git('count-objects', '-v')).toBe(before);
    expect((await readdir(folder.path)).filter((name) => name.startsWith('forgeflow-'))).toEqual([]);
  });

  test('J6: changes in one place are a conflict that names its path', async () => {
    expect(await trialMerge(clone, await fork({ a: text(), b: '' }, { a: text('x') }, { a: text('y') }))).toEqual({
      clean: false,
      reason: 'conflicts',
      conflicts: [Buffer.from('a')],
      conflictCount: 1,
    });
  });

  test('J6: paths with newlines and bytes that are no UTF-8 come as they are', async () => {
    const names = ['new\nline', '\xff\xfe', 'tab\there', '"quoted"'];
    const tree = (content: string): Tree => Object.fromEntries(names.map((name) => [name, content]));
    const found = await conflictsOf(await fork(tree(text()), tree(text('x')), tree(text('y')), true));
    expect(found.sort()).toEqual([...names].sort());
  });

  test('J6: where a file meets a folder, the path is the one that the file has', async () => {
    expect(await conflictsOf(await fork({ a: text() }, { a: text('x') }, { 'a/b': 'new' }))).toEqual(['a']);
  });

  test('J6: changed here, deleted there', async () => {
    expect(await conflictsOf(await fork({ a: text(), b: '' }, { a: text('x'), b: '' }, { b: '' }))).toEqual(['a']);
  });

  test('J6: a file that moved is followed', async () => {
    expect(await trialMerge(clone, await fork({ a: text() }, { a: text('x') }, { moved: text() }))).toMatchObject({
      clean: true,
    });
  });

  test('J6: a submodule that both moved is a conflict', async () => {
    const at = (digit: string): Tree => ({ sub: { mode: '160000', commit: digit.repeat(40) } });
    expect(await conflictsOf(await fork(at('1'), at('2'), at('3')))).toEqual(['sub']);
    expect(await trialMerge(clone, await fork(at('1'), at('2'), at('1')))).toMatchObject({ clean: true });
  });

  test("J6: the base's .gitattributes hold, in folders too, as they do for git merge in a work tree", async () => {
    const both = (attributes: Tree, path: string): Promise<{ base: string; head: string }> =>
      fork(
        { ...attributes, [path]: text() },
        { ...attributes, [path]: `${text()}x\n` },
        { ...attributes, [path]: `${text()}y\n` },
      );
    expect(await conflictsOf(await both({ '.gitattributes': 'log merge=union\n' }, 'log'))).toEqual([]);
    expect(await conflictsOf(await both({ 'd/.gitattributes': 'log merge=union\n' }, 'd/log'))).toEqual([]);
    expect(await conflictsOf(await both({ 'd/.gitattributes': 'log merge=union\n' }, 'log'))).toEqual(['log']);

    const apart = { base: text('ONE'), head: text('one', 'two', 'three', 'four', 'five', 'six', '7') };
    const binary = { '.gitattributes': '* binary\n' };
    expect(
      await conflictsOf(
        await fork({ ...binary, a: text() }, { ...binary, a: apart.base }, { ...binary, a: apart.head }),
      ),
    ).toEqual(['a']);
    // Those of the head do not count, and a symlink is no file of attributes.
    const link = { '.gitattributes': { mode: '120000' as const, content: 'attributes' }, attributes: '* binary\n' };
    for (const others of [{}, link]) {
      const sides = await fork({ ...others, a: text() }, { ...others, a: apart.base }, { ...binary, a: apart.head });
      expect(await conflictsOf(sides)).toEqual([]);
    }
  });

  test('J6: attributes that name a program run none', async () => {
    const attributes = { '.gitattributes': 'a merge=evil filter=evil diff=evil\n' };
    const sides = await fork(
      { ...attributes, a: text() },
      { ...attributes, a: text('x') },
      { ...attributes, a: text('y') },
    );
    expect(await conflictsOf(sides)).toEqual(['a']);
  });

  test('J6: histories without a common commit are not merged, as git merge refuses to', async () => {
    const [alone] = await repository.commit({ ref: 'refs/heads/alone', tree: { b: 'b' } });
    commits += 1;
    const { base } = await fork({ a: text() }, { a: text('x') }, { a: text('y') });
    expect(await trialMerge(clone, { base, head: alone! })).toEqual({
      clean: false,
      reason: 'unrelated_histories',
      conflicts: [],
      conflictCount: 0,
    });
  });

  test('J6: what git itself dies of (2.39: a renamed link meets a submodule) is not clean, and no failure', async () => {
    const submodule = (digit: string): Item => ({ mode: '160000', commit: digit.repeat(40) });
    const link: Item = { mode: '120000', content: 'a' };
    const sides = await fork(
      { a: text(), link },
      { a: submodule('1'), renamed: link },
      { a: text(), link: submodule('2'), renamed: text() },
    );
    const dead = { reason: 'git_bug', conflicts: [], conflictCount: 0 };
    const merge = await trialMerge(clone, sides);
    expect(merge).toEqual({ clean: false, ...('reason' in merge && merge.reason === 'conflicts' ? merge : dead) });
    expect((await readdir(folder.path)).filter((name) => name.startsWith('forgeflow-'))).toEqual([]);
  });

  test('J6: of very many conflicts the first are named, and all counted', async () => {
    const names = Array.from({ length: CONFLICT_LIMIT + 200 }, (_, at) => `file-${String(at).padStart(5, '0')}`);
    const tree = (content: string): Tree => Object.fromEntries(names.map((name) => [name, `${name}\n${content}`]));
    const merge = await trialMerge(clone, await fork(tree('0'), tree('1'), tree('2')));
    if (merge.clean) throw new Error('it merged');
    expect(merge.conflictCount).toBe(names.length);
    expect(merge.conflicts.map(String)).toEqual(names.slice(0, CONFLICT_LIMIT));
  });

  test('J6: a commit that is not there is not found', async () => {
    const { base } = await fork({ a: text() }, { a: text('x') }, { a: text('y') });
    await expect(trialMerge(clone, { base, head: 'a'.repeat(40) })).rejects.toMatchObject({ kind: 'not_found' });
    await expect(trialMerge(clone, { base: 'a'.repeat(40), head: base })).rejects.toMatchObject({ kind: 'not_found' });
  });

  test('J6: broken off, it leaves nothing behind', async () => {
    const sides = await fork({ a: text() }, { a: text('x') }, { a: text('y') });
    const stop = new AbortController();
    const merging = trialMerge({ ...clone, signal: stop.signal }, sides);
    setTimeout(() => {
      stop.abort(new Error('stopped'));
    }, 5);
    await expect(merging).rejects.toThrow('stopped');
    expect((await readdir(folder.path)).filter((name) => name.startsWith('forgeflow-'))).toEqual([]);
  });
});
