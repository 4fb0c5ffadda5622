import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { indexedText } from '../../activities/search-plan.ts';
import { readOverview } from '../../src/database/repository-overview.ts';
import { updateSearchIndex } from '../../src/database/search-update.ts';
import { findTracked, untrackRepository } from '../../src/database/tracked-repositories.ts';
import { INDEXED_CONTENT_LIMIT, indexedContent } from '../../src/domain/index-policy.ts';
import type { Item } from '../support/git-repository.ts';
import { indexOf, MAIN, type SearchedRepository, type SearchWorld, startSearchWorld } from '../support/search-world.ts';

const POINTER_TEXT = `version https://git-lfs.github.com/spec/v1\noid sha256:${'4d7a'.repeat(16)}\nsize 12345\n`;

let world: SearchWorld;

beforeAll(async () => {
  world = await startSearchWorld();
});
afterAll(() => world.close());

/** What `forgeflow repositories show` says of the index. */
async function indexShown(repositoryId: number) {
  const all = await readOverview(world.database.db);
  const one = all.find(({ id }) => id === repositoryId);
  return (
    one && {
      commit: one.indexedCommit,
      indexedAt: one.indexedAt,
      files: one.indexedFiles,
      truncated: one.isIndexTruncated,
    }
  );
}

const found = async (query: string, repositoryId: number) =>
  (await world.search(query, { repositoryId, limit: 100 })).results.map(({ path }) => path);

describe('what is indexed', () => {
  test('J10: the default branch at its head; unchanged, nothing is done', async () => {
    const one = await world.add('group/one');
    const [commit] = await one.repository.commit({
      ref: MAIN,
      tree: { 'a.ts': 'const kiln = 1;\n', 'd/b.ts': 'let glaze;\n' },
    });
    await one.repository.commit({ ref: 'refs/heads/other', tree: { 'c.ts': 'kiln elsewhere' } });
    expect(await one.reindex()).toEqual({
      summary: `2 files indexed at ${commit!.slice(0, 8)}`,
      files: 2,
      read: 2,
      removed: 0,
      truncated: false,
    });
    expect(await found('kiln', one.id)).toEqual(['a.ts']);
    expect(await findTracked(world.database.db, one.id)).toMatchObject({ defaultBranch: 'main', headSha: commit });
    const indexed = await indexShown(one.id);
    expect(indexed).toMatchObject({ commit, files: 2, truncated: false });

    expect(await one.reindex()).toMatchObject({ summary: 'the head is the one that is indexed', read: 0, removed: 0 });
    expect(await indexShown(one.id)).toEqual(indexed);
  });

  test('J10: of a commit, only blobs that are new are read, not those that moved or were copied', async () => {
    const one = await world.add('group/changes');
    const tree = Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`f${at}`, `text ${at}\n`]));
    await one.repository.commit({ ref: MAIN, tree });
    expect(await one.reindex()).toMatchObject({ files: 50, read: 50 });

    const { f0, f2, f3, ...rest } = tree;
    const next = {
      ...rest,
      f1: 'changed one\n',
      f2: f3!,
      f3: f2!,
      moved: f0!,
      copy: rest['f9']!,
      'new/file': 'new\n',
      f4: { mode: '100755', content: rest['f4']! },
    };
    await one.repository.commit({ ref: MAIN, parents: [0], tree: next as Record<string, Item> });
    expect(await one.reindex()).toEqual({
      summary: expect.stringMatching(/^6 files indexed at /) as string,
      files: 52,
      read: 2,
      removed: 4,
      truncated: false,
    });
    expect(await found('"text 0"', one.id)).toEqual(['moved']);
    expect(await found('"text 2"', one.id)).toContain('f3');
    expect(await found('"text 1" f1', one.id)).not.toContain('f1');
    expect((await found('"text 9"', one.id)).sort()).toEqual(['copy', 'f9']);
  });

  test('J10: symlinks, submodules, LFS pointers, binary and large files are found by their paths, and never followed', async () => {
    const one = await world.add('group/kinds');
    const tree: Record<string, Item> = {
      link: { mode: '120000', content: '../../../../etc/passwd' },
      sub: { mode: '160000', commit: '5'.repeat(40) },
      'large.bin': POINTER_TEXT,
      binary: Buffer.from('kiln\0kiln'),
      large: `kiln ${'x'.repeat(INDEXED_CONTENT_LIMIT)}`,
      largest: `kiln${' '.repeat(INDEXED_CONTENT_LIMIT - 4)}`,
      'with\nline': 'kiln here\n',
      'caf\u00e9': 'not UTF-8 in its name, kiln\n',
      invalid: Buffer.from('kiln \xff after\n', 'latin1'),
      marked: Buffer.from('\xef\xbb\xbfkiln', 'latin1'),
      empty: '',
    };
    await one.repository.commit({ ref: MAIN, tree, bytePaths: true });
    expect(await one.reindex()).toMatchObject({ files: 11, read: 8, truncated: false });

    const { files } = await indexOf(world.database, one.id);
    const contents = Object.fromEntries(
      files.map(({ name, kind, content }) => [name!.split(' ')[0]!, [kind, content]]),
    );
    expect(contents).toEqual({
      link: ['symlink', null],
      sub: ['submodule', null],
      'large.bin': ['file', null],
      binary: ['file', null],
      large: ['file', null],
      largest: ['file', tree['largest']],
      'with\nline': ['file', 'kiln here\n'],
      '"caf\\351"': ['file', 'not UTF-8 in its name, kiln\n'],
      invalid: ['file', 'kiln \ufffd after\n'],
      marked: ['file', 'kiln'],
      empty: ['file', ''],
    });
    expect((await found('kiln', one.id)).sort()).toEqual(['"caf\\351"', 'invalid', 'largest', 'marked', 'with\nline']);
    expect(await found('passwd', one.id)).toEqual([]);
    expect((await world.search('large.bin', { repositoryId: one.id })).results).toEqual([
      { repository: 'group/kinds', path: 'large.bin', line: null, excerpt: null },
    ]);

    // The same blobs, and other things.
    const other: Record<string, Item> = {
      ...tree,
      link: '../../../../etc/passwd',
      'large.bin': { mode: '120000', content: POINTER_TEXT },
    };
    await one.repository.commit({ ref: MAIN, parents: [0], tree: other, bytePaths: true });
    expect(await one.reindex()).toMatchObject({ files: 11, read: 1, removed: 2 });
    expect(await found('passwd', one.id)).toEqual(['link']);
  });

  test('J10: whatever the bytes, the short way to their text is the policy', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.string({ unit: 'binary', maxLength: 40 }).map((text) => new TextEncoder().encode(`\ufeff${text}`)),
    );
    fc.assert(
      fc.property(bytes, fc.boolean(), (start, long) => {
        const all = Buffer.concat([start, Buffer.alloc(long ? 1100 : 0, 'é')]);
        const expected = indexedContent(all);
        expect(indexedText(all)?.toString() ?? null).toBe('text' in expected ? expected.text : null);
      }),
    );
  });

  test('J10: a repository without commits has an empty index, before it has some and after', async () => {
    const one = await world.add('group/empty');
    expect(await one.reindex()).toEqual({
      summary: 'the repository has no commits',
      files: 0,
      read: 0,
      removed: 0,
      truncated: false,
    });
    expect(await indexShown(one.id)).toMatchObject({ commit: null, files: 0 });
    expect(await one.reindex()).toMatchObject({ summary: 'the head is the one that is indexed' });
    await one.repository.commit({ ref: MAIN, tree: { a: 'kiln' } });
    expect(await one.reindex()).toMatchObject({ files: 1 });
    await one.repository.git('update-ref', '-d', MAIN);
    expect(await one.reindex()).toMatchObject({ files: 0, removed: 1 });
    expect(await found('kiln', one.id)).toEqual([]);
    expect(await findTracked(world.database.db, one.id)).toMatchObject({ defaultBranch: null, headSha: null });
  });

  test('J10: of more than 20,000 files the first are indexed, whatever comes and goes before them', async () => {
    const one = await world.add('group/many');
    const name = (at: number): string => `d${Math.floor(at / 300)}/${String(at).padStart(5, '0')}`;
    const many: Record<string, string> = Object.fromEntries(
      Array.from({ length: 20_001 }, (_, at) => [name(at), `n${at}`]),
    );
    const order = Object.keys(many).sort();
    const last = order.at(-1)!;
    const dropped = order[7]!;
    const fewer = { ...many };
    Reflect.deleteProperty(fewer, dropped);
    await one.repository.commit(
      { ref: MAIN, tree: many },
      { ref: MAIN, parents: [0], tree: { ...fewer, 'a/first': 'f', 'a/second': 's' } },
      { ref: MAIN, parents: [1], tree: fewer },
      { ref: MAIN, parents: [2], tree: { ...fewer, 'a/first': 'f' } },
    );
    const to = async (commit: string) => {
      await one.repository.git('update-ref', MAIN, commit);
      return one.reindex();
    };
    const commits = (await one.repository.git('rev-list', '--reverse', MAIN)).split('\n');
    expect(await to(commits[0]!)).toMatchObject({ files: 20_000, read: 20_000, truncated: true });
    expect(await found(last, one.id)).toEqual([]);
    expect(await to(commits[1]!)).toMatchObject({ files: 20_000, read: 2, removed: 2, truncated: true });
    expect(await found('a/first', one.id)).toEqual(['a/first']);
    // Two went: the last two of all come in, and no more are there.
    expect(await to(commits[2]!)).toMatchObject({ files: 20_000, read: 2, removed: 2, truncated: false });
    expect(await found(last, one.id)).toEqual([last]);
    expect(await to(commits[3]!)).toMatchObject({ files: 20_000, read: 1, removed: 1, truncated: true });
    expect(await found(last, one.id)).toEqual([]);
    expect(await indexShown(one.id)).toMatchObject({ files: 20_000, truncated: true });
  });
});

describe('which repositories', () => {
  test('J10: one that is not there, or not tracked, is a permanent failure with the reason', async () => {
    const one = await world.add('group/tracked');
    const untracked = await world.addRow('group/untracked', false);
    for (const id of [untracked, 999_999]) {
      const error: unknown = await one.reindex({ id }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ApplicationFailure);
      expect(error).toMatchObject({
        nonRetryable: true,
        message: expect.stringContaining(`no tracked repository ${id}`) as string,
      });
    }
    expect(await indexShown(untracked)).toBeUndefined();
  });

  test('J10: what is indexed goes with the repository', async () => {
    const one = await world.add('group/gone');
    await one.repository.commit({ ref: MAIN, tree: { a: 'kiln' } });
    await one.reindex();
    await world.database.db.deleteFrom('repositories').where('id', '=', one.id).execute();
    expect(await indexOf(world.database, one.id)).toEqual({ files: [], words: {} });
  });

  test('J10: who untracks it while it is indexed waits for that, and then the index goes', async () => {
    const { db } = world.database;
    const one = await world.add('group/leaving');
    await one.repository.commit({ ref: MAIN, tree: { a: 'kiln' } });
    let untracking: Promise<unknown> | undefined;
    const indexed = await updateSearchIndex(db, one.id, async (update) => {
      untracking = db.transaction().execute((transaction) => untrackRepository(transaction, one.id));
      await waiters(1);
      await update.add({ path: Buffer.from('a'), kind: 'file', objectId: '7'.repeat(40) }, Buffer.from('kiln'));
      await update.finish({ commit: '7'.repeat(40), branch: 'main', truncated: false });
      return 'done';
    });
    expect([indexed, await untracking]).toEqual(['done', true]);
    expect(await indexOf(world.database, one.id)).toEqual({ files: [], words: {} });
    expect(await updateSearchIndex(db, one.id, () => Promise.resolve('done'))).toBeNull();
  });
});

/** Until so many wait for a lock. */
async function waiters(count: number): Promise<void> {
  await expect
    .poll(async () => {
      const { rows } = await sql<{ count: number }>`
        select count(*)::int as count from pg_stat_activity
        where wait_event_type = 'Lock' and datname = current_database()
      `.execute(world.database.db);
      return rows[0]?.count;
    })
    .toBe(count);
}

describe('histories', () => {
  test('J10: a push that is not a fast-forward, and one after which the old commit is not there any more', async () => {
    const one = await world.add('group/forced');
    const tree = { a: 'kiln a', b: 'kiln b', c: 'kiln c' };
    const [first] = await one.repository.commit({ ref: MAIN, tree });
    await one.reindex();
    await one.repository.commit({ ref: MAIN, tree: { ...tree, b: 'glaze b' }, message: 'another root' });
    expect(await one.reindex()).toMatchObject({ files: 3, read: 1, removed: 1 });

    await one.repository.commit({ ref: MAIN, tree: { a: 'kiln a', b: 'kiln b', d: 'kiln d' }, message: 'a third' });
    await one.repository.git('reflog', 'expire', '--expire=now', '--all');
    await one.repository.git('gc', '--quiet', '--prune=now');
    await expect(one.repository.git('cat-file', '-e', first!)).rejects.toThrow();
    expect(await one.reindex()).toMatchObject({ files: 3, read: 2, removed: 2 });
    expect((await found('kiln', one.id)).sort()).toEqual(['a', 'b', 'd']);
    expect(await found('glaze', one.id)).toEqual([]);
  });

  test('J10: after many commits there are few segments, and what is gone does not stay in them', async () => {
    const one = await world.add('group/busy');
    const tree = (round: number) =>
      Object.fromEntries(
        Array.from({ length: 700 }, (_, at) => [`f${at}`, `word${at} ${at % 2 === 0 ? 'same' : `round${round}`}`]),
      );
    const [zero] = await one.repository.commit({ ref: MAIN, tree: tree(0) });
    await one.reindex();
    for (let round = 1; round <= 12; round += 1) {
      await one.repository.commit({ ref: MAIN, parents: [round - 1], tree: tree(round) });
      expect(await one.reindex()).toMatchObject({ files: 700, read: 350, removed: 350 });
    }
    const { rows } = await sql<{ segments: number; bytes: number; stale: number }>`
      select count(distinct segment)::int as segments, sum(length(search_words.files))::int as bytes, max(stale_files) as stale
      from search_words join search_indexes using (repository_id) where repository_id = ${one.id}
    `.execute(world.database.db);
    expect(rows[0]!.segments).toBeLessThan(5);
    expect(rows[0]!.stale).toBeLessThan(1_400);
    expect(rows[0]!.bytes).toBeLessThan(30_000);
    expect(await found('round12 word699', one.id)).toEqual(['f699']);
    expect(await found('round11', one.id)).toEqual([]);
    await one.repository.git('update-ref', MAIN, zero!);
    await one.reindex();
    const other = await world.addRow('group/busy-full');
    await one.reindex({ id: other });
    expect(await indexOf(world.database, one.id)).toEqual(await indexOf(world.database, other));
  });

  // Bytes as they are in git, as `latin1`.
  const PATHS = [
    'a',
    'b',
    'src/kiln.ts',
    'src/glaze.ts',
    'new\nline',
    'caf\xe9',
    'Ku\xcc\x8an',
    `${'long'.repeat(50)}/a`,
    `${'long'.repeat(50)}/b`,
    'z/z/z',
    '"q"',
    'İ',
  ].map((path) => (/[^\0-\xff]/.test(path) ? Buffer.from(path).toString('latin1') : path));
  const CONTENTS: Item[] = [
    'kiln one\n',
    'kiln two\nGLAZE\n',
    'Straße ÜBER kiln\n',
    '',
    Buffer.from('bin\0ary'),
    Buffer.from('bad \xff\xc3 kiln', 'latin1'),
    Buffer.from('\xef\xbb\xbfmarked kiln', 'latin1'),
    POINTER_TEXT,
    'long kiln '.repeat(40_000),
    `const ${'abcdefghij'.repeat(30)} = '${'Zx9'.repeat(200)}';`,
    { mode: '100755', content: 'kiln one\n' },
    { mode: '120000', content: 'kiln one\n' },
    { mode: '120000', content: '../../etc/passwd' },
    { mode: '160000', commit: '5'.repeat(40) },
    { mode: '160000', commit: '6'.repeat(40) },
  ];
  const path = fc.constantFrom(...PATHS);
  const change = fc.oneof(
    { weight: 5, arbitrary: fc.record({ put: path, content: fc.constantFrom(...CONTENTS) }) },
    { weight: 2, arbitrary: fc.record({ remove: path }) },
    { weight: 3, arbitrary: fc.record({ move: path, to: path, keep: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ swap: path, with: path }) },
  );
  const step = fc.record({
    changes: fc.array(change, { maxLength: 6 }),
    isRoot: fc.boolean(),
    forget: fc.nat(3).map((n) => n === 0),
  });
  type Tree = Record<string, Item>;
  type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

  function changed(before: Tree, changes: Change[]): Tree {
    const tree = { ...before };
    for (const one of changes) {
      if ('put' in one) tree[one.put] = one.content;
      else if ('remove' in one) Reflect.deleteProperty(tree, one.remove);
      else if ('swap' in one) {
        const [first, second] = [tree[one.swap], tree[one.with]];
        if (first !== undefined && second !== undefined) [tree[one.swap], tree[one.with]] = [second, first];
      } else if (tree[one.move] !== undefined && one.move !== one.to) {
        tree[one.to] = tree[one.move]!;
        if (!one.keep) Reflect.deleteProperty(tree, one.move);
      }
    }
    return tree;
  }

  /** Kind and content, and null for what is no file. */
  const bytesOf = (item: Item | undefined): string | null => {
    if (item === undefined) return null;
    if (typeof item === 'string' || Buffer.isBuffer(item)) return Buffer.from(item as string).toString('latin1');
    return item.mode === '100755' ? Buffer.from(item.content as string).toString('latin1') : null;
  };

  /** How many blobs have to be read: of files that are new at their path, with contents that no file had. */
  function unread(before: Tree, after: Tree): number {
    const known = new Set(Object.values(before).map(bytesOf));
    return Object.entries(after).filter(([name, item]) => {
      const bytes = bytesOf(item);
      return (
        bytes !== null && bytes.length <= INDEXED_CONTENT_LIMIT && bytes !== bytesOf(before[name]) && !known.has(bytes)
      );
    }).length;
  }

  test('J10: commit by commit the index becomes what a full one is, and reads only what is new', async () => {
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 5 }), async (steps) => {
        runs += 1;
        const one: SearchedRepository = await world.add(`property/${runs}`);
        let before: Tree = {};
        for (const [at, { changes, isRoot, forget }] of steps.entries()) {
          const tree = changed(before, changes);
          const parents = at === 0 || isRoot ? [] : [at - 1];
          await one.repository.commit({ ref: MAIN, parents, tree, bytePaths: true, message: `step ${at}` });
          if (forget && isRoot) {
            await one.repository.git('reflog', 'expire', '--expire=now', '--all');
            await one.repository.git('gc', '--quiet', '--prune=now');
          }
          expect(await one.reindex()).toMatchObject({ files: Object.keys(tree).length, read: unread(before, tree) });
          before = tree;
        }
        const full = await world.addRow(`property/${runs}/full`);
        await one.reindex({ id: full });
        expect(await indexOf(world.database, one.id)).toEqual(await indexOf(world.database, full));
      }),
      { numRuns: 12 },
    );
  });
});

describe('at the same time', () => {
  test('J10: two runs of one repository wait for one another; the second finds nothing to do', async () => {
    const one = await world.add('group/twice');
    await one.repository.commit({
      ref: MAIN,
      tree: Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`f${at}`, `kiln ${at}`])),
    });
    const outcomes = await Promise.all([one.reindex(), one.reindex(), one.reindex()]);
    expect(outcomes.map(({ read }) => read).sort()).toEqual([0, 0, 300]);
    expect((await indexOf(world.database, one.id)).files).toHaveLength(300);
  });

  test('J10: a search sees all of an index or all of the next one, never half', async () => {
    const one = await world.add('group/swapped');
    const tree = (word: string, files: number) =>
      Object.fromEntries(
        Array.from({ length: files }, (_, at) => [`${word}/${at}`, `both ${word} ${'line\n'.repeat(300)}${word}${at}`]),
      );
    const commits = await one.repository.commit(
      { ref: MAIN, tree: tree('alpha', 40) },
      { ref: MAIN, tree: tree('beta', 60) },
    );
    let isOver = false;
    const counts: Record<string, Set<number>> = { alpha: new Set(), beta: new Set(), both: new Set() };
    await one.reindex();
    const searching = Object.entries(counts).map(async ([word, seen]) => {
      while (!isOver) seen.add((await found(word, one.id)).length);
    });
    for (let round = 0; round < 8; round += 1) {
      await one.repository.git('update-ref', MAIN, commits[round % 2]!);
      expect(await one.reindex()).toMatchObject({ files: [40, 60][round % 2] });
    }
    isOver = true;
    await Promise.all(searching);
    for (const [word, sizes] of [
      ['alpha', [0, 40]],
      ['beta', [0, 60]],
      ['both', [40, 60]],
    ] as const) {
      expect(sizes).toEqual(expect.arrayContaining([...counts[word]!]));
    }
    expect(counts['both']!.size).toBe(2);
  });

  test('J10: it breaks off when nobody waits any more, wherever it is, and changes nothing then', async () => {
    const one = await world.add('group/broken-off');
    const tree = Object.fromEntries(
      Array.from({ length: 400 }, (_, at) => [`f${at}`, `kiln ${at} ${'word '.repeat(2_000)}`]),
    );
    await one.repository.commit({ ref: MAIN, tree: { a: 'before' } });
    await one.reindex();
    await one.repository.commit({ ref: MAIN, parents: [0], tree });
    const reason = new Error('nobody waits');

    const abort = new AbortController();
    await updateSearchIndex(world.database.db, one.id, async () => {
      const waiting = one.reindex({ signal: abort.signal }).catch((error: unknown) => error);
      await waiters(1);
      abort.abort(reason);
      expect(await waiting).toBe(reason);
    });
    for (const delayMs of [0, 5, 10, 20, 40, 60]) {
      const soon = new AbortController();
      setTimeout(() => {
        soon.abort(reason);
      }, delayMs);
      const outcome: unknown = await one.reindex({ signal: soon.signal }).catch((error: unknown) => error);
      if (outcome !== reason) break; // it was quicker
      expect(await found('before', one.id)).toEqual(['a']);
    }
    await one.reindex();
    expect((await indexOf(world.database, one.id)).files).toHaveLength(400);
  });
});
