import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EXCERPT_LIMIT, findMatch, type SearchMatch } from '../../src/domain/excerpt.ts';
import { parseSearch } from '../../src/domain/search-terms.ts';

const find = (content: string | null, query: string, path = 'src/kiln.ts'): SearchMatch | null =>
  findMatch({ path, content }, parseSearch(query));
const score = (content: string | null, query: string, path?: string): number => find(content, query, path)?.score ?? -1;

describe('the line', () => {
  test.each([
    ['the only one', 'a\nfire it\nb', 'fire', 2, 'fire it'],
    ['the first', 'fire\nfire', 'fire', 1, 'fire'],
    ['the last, without a line feed', 'a\n\n\nfire', 'fire', 4, 'fire'],
    ['a whole word before a part of one', 'firewall\nfire', 'fire', 2, 'fire'],
    ['all terms on one line before some', 'fire\nhot\nhot fire', 'fire hot', 3, 'hot fire'],
    ['two parts of words before one whole word', 'fire\nfirewalls hotly', 'fire hot', 2, 'firewalls hotly'],
    ['upper and lower case alike', 'a\nFIRE', 'fire', 2, 'FIRE'],
    ['a phrase', 'fire it\nit fire', '"it fire"', 2, 'it fire'],
    ['a part of a word', 'a\nbonfires', 'fire', 2, 'bonfires'],
    ['with carriage returns', 'a\r\nfire\r\n', 'fire', 2, 'fire'],
    ['indented', 'a\n\t  fire(\tit )  ', 'fire', 2, 'fire( it )'],
    ['punctuation', 'a\nx => y', '=>', 2, 'x => y'],
    ['where a line is one term only, the other is elsewhere', 'hot\nfire', 'fire hot', 1, 'hot'],
    ['a letter with an accent goes on', 'éfire\nfire', 'fire', 2, 'fire'],
    ['an underscore goes on', 'fire_it\nfire-it', 'fire', 2, 'fire-it'],
  ])('J11: %s', (_, content, query, line, excerpt) => {
    expect(find(content, query)).toMatchObject({ line, excerpt });
  });

  test('J11: a file without one of the terms does not match', () => {
    expect(find('fire', 'fire hot')).toBeNull();
    expect(find(null, 'fire')).toBeNull();
    expect(find('', 'fire')).toBeNull();
  });

  test('J11: a term may be in the path alone', () => {
    expect(find('a\nfire', 'kiln fire')).toMatchObject({ line: 2, excerpt: 'fire' });
    expect(find('a\nfire', 'kiln')).toMatchObject({ line: null, excerpt: null });
    expect(find(null, 'KILN')).toMatchObject({ line: null, excerpt: null });
  });
});

describe('the excerpt', () => {
  test('J11: of a long line is cut around the match', () => {
    const found = find(`${'a'.repeat(1_000)} fire ${'b'.repeat(1_000)}`, 'fire')?.excerpt ?? '';
    expect(found).toHaveLength(EXCERPT_LIMIT);
    expect(found).toMatch(/^…a{38,40} fire b+…$/);
  });

  test('J11: control characters are no orders to a terminal', () => {
    expect(find('\u001b[2Jfire\u0007\u009b1m', 'fire')?.excerpt).toBe('\ufffd[2Jfire\ufffd\ufffd1m');
  });

  test('J11: half a character is never left', () => {
    for (let shift = 0; shift < 4; shift++) {
      const line = `${'x'.repeat(shift)}${'🔥'.repeat(300)}fire${'🔥'.repeat(300)}`;
      const found = find(line, 'fire')?.excerpt ?? '';
      expect(found).toContain('fire');
      expect(found).not.toMatch(/\p{Surrogate}/u);
    }
  });

  test('J11: a minified file of the largest size takes no time', () => {
    const started = performance.now();
    expect(find('fireit(e)'.repeat(43_000), 'fire e it')?.line).toBe(1);
    expect(find('fires e\n'.repeat(48_000), 'fire e')?.line).toBe(1);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test('J11: is a part of the line, no longer than it may be, with the match', () => {
    const words = fc.constantFrom('fire', 'Fire', 'bonfire', 'hot', ' ', '\t', 'İ', 'Σ', 'xy'.repeat(50), '🔥', '.');
    const lines = fc.array(fc.array(words, { maxLength: 12 }), { maxLength: 8 });
    const contents = lines.map((all) => all.map((line) => line.join('')).join('\n'));
    let matched = 0;
    fc.assert(
      fc.property(contents, (content) => {
        const found = find(content, 'FIRE');
        const expected = content.split('\n').findIndex((line) => line.toLowerCase().includes('fire'));
        expect(found === null).toBe(expected === -1);
        if (found === null) return;
        matched++;
        const whole = content.split('\n')[found.line! - 1]!;
        const kept = found.excerpt!.replace(/^…/, '').replace(/…$/, '');
        expect(whole.replaceAll('\t', ' ')).toContain(kept);
        expect(found.excerpt!.length).toBeLessThanOrEqual(EXCERPT_LIMIT);
        expect(kept.toLowerCase()).toContain('fire');
      }),
      { numRuns: 1_000 },
    );
    expect(matched).toBeGreaterThan(300);
  });
});

describe('the ranking', () => {
  test.each<[string, string, [string, string?], [string, string?]]>([
    ['a whole word before a part of one', 'fire', ['fire'], ['firewall']],
    ['an early line before a late one', 'fire', ['fire'], ['a\nfire']],
    ['all on one line before on two', 'hot fire', ['hot fire'], ['hot\nfire']],
    ['in the path besides', 'hot fire', ['hot fire', 'src/hot.ts'], ['hot fire', 'src/cold.ts']],
    ['the name of the file before a folder', 'hot', ['hot', 'src/hot.ts'], ['hot', 'hot/src.ts']],
    ['a folder before a part of a name', 'hot', ['hot', 'hot/src.ts'], ['hot', 'src/shot.ts']],
    ['a part of a name before none', 'hot', ['hot', 'src/shot.ts'], ['hot', 'src/cold.ts']],
    ['a late whole word before an early part of one', 'fire', [`${'\n'.repeat(5_000)}fire`], ['firewall']],
    ['in the content before in a folder alone', 'fire', ['fire'], ['', 'fire/x.ts']],
  ])('J11: %s', (_, query, better, worse) => {
    expect(score(better[0], query, better[1])).toBeGreaterThan(score(worse[0], query, worse[1]));
    expect(score(worse[0], query, worse[1])).toBeGreaterThan(0);
  });

  test('J11: the order of the terms makes no difference', () => {
    const words = fc.array(fc.constantFrom('hot', 'fire', 'kiln', 'firewall', '\n', ' '), { maxLength: 15 });
    fc.assert(
      fc.property(words, (content) => {
        const text = content.join('');
        expect(find(text, 'kiln hot fire')).toEqual(find(text, 'fire kiln hot'));
      }),
    );
  });
});
