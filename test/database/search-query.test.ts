import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/database/connection.ts';
import { migrateUp } from '../../src/database/migrate.ts';
import { searchCode } from '../../src/database/search-query.ts';
import { updateSearchIndex } from '../../src/database/search-update.ts';
import { findMatch } from '../../src/domain/excerpt.ts';
import { parseSearch } from '../../src/domain/search-terms.ts';
import { type SearchWorld, startSearchWorld } from '../support/search-world.ts';

let world: SearchWorld;
let rows = 0;

beforeAll(async () => {
  world = await startSearchWorld();
});
afterAll(() => world.close());

/** A tracked repository that has these files in its index. @returns its id */
async function indexed(files: Record<string, string | null>, path = `group/${(rows += 1)}`): Promise<number> {
  const id = await world.addRow(path);
  await updateSearchIndex(world.database.db, id, async (update) => {
    for (const [name, content] of Object.entries(files)) {
      const file = { path: Buffer.from(name), kind: 'file' as const, objectId: '0'.repeat(40) };
      await update.add(file, content === null ? null : Buffer.from(content));
    }
    await update.finish({ commit: '1'.repeat(40), branch: 'main', truncated: false });
  });
  return id;
}

const paths = async (query: string, repositoryId: number, limit = 100) =>
  (await world.search(query, { repositoryId, limit })).results.map(({ path }) => path).sort();

describe('what matches', () => {
  test('J11: all terms, each in the path or in the content, whole or as a part, in upper or lower case', async () => {
    const id = await indexed({
      'src/retry-policy.ts': 'export const MAX_DELAY = 300;\nfunction nextDelay() {}\n',
      'src/delay.ts': 'let x = 1;\nconst policy = nextDelay(x);\n',
      'docs/Größe.md': 'Die GRÖSSE ist ΣΑΣ, İstanbul\n',
      'logo.png': null,
    });
    const found = await world.search('policy delay', { repositoryId: id });
    expect(found).toEqual({
      results: [
        { repository: 'group/1', path: 'src/delay.ts', line: 2, excerpt: 'const policy = nextDelay(x);' },
        { repository: 'group/1', path: 'src/retry-policy.ts', line: 1, excerpt: 'export const MAX_DELAY = 300;' },
      ],
      truncated: false,
    });
    expect(await paths('EXTDELA', id)).toEqual(['src/delay.ts', 'src/retry-policy.ts']);
    expect(await paths('nextdelay(x)', id)).toEqual(['src/delay.ts']);
    expect(await paths('größe σασ istanbul', id)).toEqual(['docs/Größe.md']);
    expect(await paths('policy kiln', id)).toEqual([]);
    expect(await world.search('logo', { repositoryId: id })).toEqual({
      results: [{ repository: 'group/1', path: 'logo.png', line: null, excerpt: null }],
      truncated: false,
    });
  });

  test('J11: signs that mean something in a pattern stand for themselves, and so do phrases', async () => {
    const id = await indexed({
      a: 'sale: 100% off',
      b: 'sale: 1000 off',
      c: 'snake_case and C:\\dir',
      d: 'snakeXcase and C:/dir',
      e: 'if (x) { return => y }\nx',
      f: 'if\n(x)',
      g: "it's 'quoted' \"twice\"",
    });
    expect(await paths('100%', id)).toEqual(['a']);
    expect(await paths('snake_case', id)).toEqual(['c']);
    expect(await paths('C:\\dir', id)).toEqual(['c']);
    expect(await paths('"if (x)"', id)).toEqual(['e']);
    expect(await paths('=>', id)).toEqual(['e']);
    expect(await paths('"\\""', id)).toEqual(['g']);
    expect(await paths('%', id)).toEqual(['a']);
    expect(await paths('x', id)).toEqual(['d', 'e', 'f']);
    expect(await paths('\\', id)).toEqual(['c']);
    expect(await paths("'quoted'", id)).toEqual(['g']);
  });

  test('J11: parts of words that are longer than those that are kept whole', async () => {
    const word = Array.from({ length: 60 }, (_, at) => `part${at}x`).join('');
    const id = await indexed({
      long: `a ${word}`,
      letters: '日本語のとても長い文章は空白なしに続くことができるのでひとつの単語になります',
      other: 'part1y',
    });
    for (let at = 0; at < word.length - 80; at += 7) {
      for (const length of [20, 29, 65, 80]) expect(await paths(word.slice(at, at + length), id)).toEqual(['long']);
    }
    expect(await paths('空白なしに続く', id)).toEqual(['letters']);
  });

  test('J11: in all repositories that are tracked, or in one', async () => {
    const first = await indexed({ a: 'everywhere kiln' }, 'search/first');
    const second = await indexed({ a: 'everywhere glaze', b: 'everywhere' }, 'search/second');
    const third = await indexed({ a: 'everywhere' }, 'search/third');
    await sql`update repositories set tracked_at = null where id = ${third}`.execute(world.database.db);
    const places = async (query: string, repositoryId?: number) =>
      (await world.search(query, repositoryId === undefined ? {} : { repositoryId })).results.map(
        ({ repository, path }) => `${repository}:${path}`,
      );
    expect(await places('everywhere')).toEqual(['search/first:a', 'search/second:a', 'search/second:b']);
    expect(await places('everywhere', second)).toEqual(['search/second:a', 'search/second:b']);
    expect(await places('everywhere kiln', second)).toEqual([]);
    expect(await places('everywhere', third)).toEqual([]);
    expect(await places('kiln everywhere', first)).toEqual(['search/first:a']);
  });

  const words = fc.constantFrom(
    'kiln',
    'Kiln',
    'kilnGlaze',
    'glaze',
    'ash_glaze',
    'x',
    'ix',
    '=>',
    '(',
    ')',
    '%',
    'é',
    'É',
    'Straße',
    '-',
    '\n',
    ' ',
    'zz9',
  );
  const text = fc.array(words, { maxLength: 12 }).map((all) => all.join(''));
  const name = fc
    .array(fc.constantFrom('kiln', 'glaze', 'src', '/', '.ts', 'É', '-'), { minLength: 1, maxLength: 5 })
    .map((all) => `f${all.join('')}`);
  const query = fc.array(
    fc.constantFrom(
      'kiln',
      'LN',
      'glaze',
      'i',
      '=>',
      '(',
      '%',
      'é',
      'straße',
      'zz9',
      'kiln(',
      '"kiln glaze"',
      'h_g',
      'nothing',
    ),
    { minLength: 1, maxLength: 3 },
  );

  test('J11: whatever the files and the terms, the answer is that of looking into every file', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(name, fc.option(text, { freq: 8 }), { maxKeys: 12 }),
        fc.array(query, { minLength: 5, maxLength: 5 }),
        async (files, queries) => {
          const id = await indexed(files);
          for (const asked of queries) {
            const terms = parseSearch(asked.join(' '));
            const expected = Object.entries(files)
              .flatMap(([path, content]) => {
                const match = findMatch({ path, content }, terms);
                return match === null ? [] : [{ path, ...match }];
              })
              .sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1))
              .map(({ path, line, excerpt }) => ({ repository: `group/${rows}`, path, line, excerpt }));
            expect(await world.search(asked.join(' '), { repositoryId: id })).toEqual({
              results: expected,
              truncated: false,
            });
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('when there is much', () => {
  test('J11: of many files that match, the best are shown, and that there are more', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 3_000 }, (_, at) => [`f${at}`, `common text ${at}\nimport kiln${at}\n`]),
    );
    const id = await indexed({ ...many, 'src/common.ts': 'nothing else' });
    for (const [asked, shown] of [
      ['common', 20],
      ['om', 20],
      ['kiln1', 20],
      ['o', 20],
    ] as const) {
      const found = await world.search(asked, { repositoryId: id, limit: shown });
      expect(found.results).toHaveLength(shown);
      expect(found.truncated).toBe(true);
    }
    expect((await world.search('"text 77" kiln77', { repositoryId: id, limit: 100 })).results).toHaveLength(11);
    expect((await world.search('"text 77" kiln77', { repositoryId: id, limit: 11 })).truncated).toBe(false);
    expect((await world.search('"text 77" kiln77', { repositoryId: id, limit: 10 })).truncated).toBe(true);
    expect((await world.search('kiln2999', { repositoryId: id })).results).toMatchObject([{ path: 'f2999', line: 2 }]);
  });

  test('J11: terms that many words have, but only few files together, are found all the same', async () => {
    const name = (word: string, at: number): string => `${word}${at.toString(36)}${word}`;
    const part = (word: string, file: number): string =>
      Array.from({ length: 260 }, (_, at) => name(word, file * 260 + at)).join(' ');
    const files = Object.fromEntries(
      Array.from({ length: 600 }, (_, at) => [`f${at}`, part(at < 300 ? 'ring' : 'long', at)]),
    );
    const id = await indexed({ ...files, both: 'a ring that is long' });
    const { rows: groups } = await sql<{ count: number }>`
      select count(*)::int as count from search_words where repository_id = ${id} and words like '%ring%'
    `.execute(world.database.db);
    expect(groups[0]!.count).toBeGreaterThan(250);
    expect(await world.search('ring long', { repositoryId: id })).toEqual({
      results: [{ repository: expect.any(String) as string, path: 'both', line: 1, excerpt: 'a ring that is long' }],
      truncated: false,
    });
    const [best] = (await world.search('ring', { repositoryId: id })).results;
    expect(best).toMatchObject({ path: 'both' });
  });

  test('J11: words are found by their trigrams, on a server that has any number of repositories', async () => {
    const id = await indexed({ a: 'a word of its own: xylograph' });
    const plan = await world.database.db.transaction().execute(async (transaction) => {
      // A small index is read whole, as it should be: much has to be there for the planner, however little other tests left.
      await sql`
        insert into search_words select ${id}, n, 0, 'short', md5(n::text), '' from generate_series(1000, 20000) n
      `.execute(transaction);
      await sql`analyze search_words`.execute(transaction);
      const { rows: lines } = await sql<{ 'QUERY PLAN': string }>`
        explain select words from search_words where repository_id = any(array[${id}]::int[]) and kind = 'short' and words like '%xylograph%'
      `.execute(transaction);
      return lines.map((line) => line['QUERY PLAN']).join('\n');
    });
    expect(plan).toContain('search_words_trigrams');
  });
});

test('J10: the schema is made by a role that is no superuser, and indexes with it', async () => {
  const role = `plain_${randomUUID().slice(0, 8)}`;
  const url = new URL(world.database.url);
  Object.assign(url, { username: role, password: role, pathname: `/${role}` });
  const { db } = world.database;
  await sql`create role ${sql.id(role)} login password ${sql.lit(role)}`.execute(db);
  await sql`create database ${sql.id(role)} owner ${sql.id(role)}`.execute(db);
  const plain = openDatabase(url.href);
  try {
    await migrateUp(plain);
    await sql`insert into repositories (gitlab_id, path, last_seen_at, tracked_at) values (1, 'a/b', now(), now())`.execute(
      plain,
    );
    await updateSearchIndex(plain, 1, async (update) => {
      await update.add({ path: Buffer.from('a'), kind: 'file', objectId: '0'.repeat(40) }, Buffer.from('kiln'));
      await update.finish({ commit: '1'.repeat(40), branch: 'main', truncated: false });
    });
    const { results } = await searchCode(plain, { terms: parseSearch('kiln'), repositoryId: 1, limit: 1 });
    expect(results).toHaveLength(1);
  } finally {
    await plain.destroy();
    await sql`drop database ${sql.id(role)} with (force)`.execute(db);
    await sql`drop role ${sql.id(role)}`.execute(db);
  }
});
