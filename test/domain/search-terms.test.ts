import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/domain/refusal.ts';
import { foldCase, parseSearch, SEARCH_QUERY_LIMIT, SEARCH_TERMS_LIMIT } from '../../src/domain/search-terms.ts';
import { refusalOf } from '../support/refusal-of.ts';

const texts = (query: string): string[] => parseSearch(query).map(({ text }) => text);

describe('a query', () => {
  test.each<[string, string[]]>([
    ['retry', ['retry']],
    ['  retry   policy\t', ['retry', 'policy']],
    ['retry\npolicy', ['retry', 'policy']],
    ['"retry policy"', ['retry policy']],
    ['"retry policy" test', ['retry policy', 'test']],
    ['"  two  "', ['  two  ']],
    ['"say \\"hi\\""', ['say "hi"']],
    ['"C:\\\\temp"', ['C:\\temp']],
    ['"a\\nb"', ['a\\nb']],
    ['C:\\temp', ['C:\\temp']],
    ['printf("%s', ['printf("%s']],
    ["it's", ["it's"]],
    ['"use strict";', ['use strict', ';']],
    ['"a""b"', ['a', 'b']],
    ['"" a', ['a']],
    ['" " a', ['a']],
    ['100% a_b *', ['100%', 'a_b', '*']],
    ['Retry retry RETRY "retry"', ['Retry']],
    ['日本語 🔥', ['日本語', '🔥']],
  ])('J11: %j asks for %j', (query, expected) => {
    expect(texts(query)).toEqual(expected);
  });

  test.each([
    ['', 'terms: they are empty; at least one is needed'],
    ['  \n', 'terms: they are empty; at least one is needed'],
    ['""', 'terms: they are empty; at least one is needed'],
    ['"open', 'terms: a quote is not closed; to search for a quote, write "\\""'],
    ['a "', 'terms: a quote is not closed; to search for a quote, write "\\""'],
    ['"open\\"', 'terms: a quote is not closed; to search for a quote, write "\\""'],
    ['"open\\', 'terms: a quote is not closed; to search for a quote, write "\\""'],
    ['"a\nb"', 'terms: a phrase goes over the end of a line, which none can match'],
    ['a\u0000b', 'terms: there is a NUL character, which no indexed text has'],
    ['a\ud800', 'terms: there is half a character, which UTF-8 cannot carry'],
  ])('J11: %j is refused', (query, message) => {
    const refusal = refusalOf(() => parseSearch(query));
    expect(refusal.message).toBe(message);
    expect(refusal.field).toBe('terms');
  });

  test('J11: the number of terms and the length of a query are bounded', () => {
    const numbered = (count: number): string => Array.from({ length: count }, (_, i) => `t${i}`).join(' ');
    expect(parseSearch(numbered(SEARCH_TERMS_LIMIT))).toHaveLength(SEARCH_TERMS_LIMIT);
    expect(refusalOf(() => parseSearch(numbered(SEARCH_TERMS_LIMIT + 1))).message).toBe(
      'terms: there are 11; 10 at most',
    );
    expect(parseSearch('x'.repeat(SEARCH_QUERY_LIMIT))).toHaveLength(1);
    expect(refusalOf(() => parseSearch('x'.repeat(SEARCH_QUERY_LIMIT + 1))).message).toMatch(/501 characters/);
  });

  test('J11: any query is refused, or gives terms that a line can hold, each once', () => {
    const pieces = fc.array(fc.oneof(fc.constantFrom('"', '\\', ' ', 'a', 'İ', '\n', '\t'), fc.string()), {
      maxLength: 12,
    });
    let parsed = 0;
    fc.assert(
      fc.property(pieces, (parts) => {
        try {
          const terms = parseSearch(parts.join(''));
          parsed++;
          expect(new Set(terms.map(({ folded }) => folded)).size).toBe(terms.length);
          for (const { text, folded } of terms) {
            expect(text.trim()).not.toBe('');
            expect(text).not.toMatch(/[\r\n\0]/);
            expect(folded).toBe(foldCase(text));
          }
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
        }
      }),
      { numRuns: 3_000 },
    );
    expect(parsed).toBeGreaterThan(500);
  });

  test('J11: what is quoted comes back as it was', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 50 }), (text) => {
        fc.pre(text.trim() !== '');
        expect(texts(`"${text.replace(/["\\]/g, '\\$&')}"`)).toEqual([text]);
      }),
    );
  });
});

describe('lower case', () => {
  test('J11: of every character there is has the length of the character', () => {
    const wrong: string[] = [];
    for (let code = 0; code <= 0x10ffff; code++) {
      const character = String.fromCodePoint(code);
      if (foldCase(character).length !== character.length) wrong.push(code.toString(16));
    }
    expect(wrong).toEqual([]);
  });

  test.each([
    ['ÉCOLE', 'école'],
    ['İstanbul', 'istanbul'],
    ['ΟΔΟΣ', 'οδοσ'],
    ['STRASSE', 'strasse'],
  ])('J11: %s is %s', (text, folded) => {
    expect(foldCase(text)).toBe(folded);
  });

  test('J11: a part of a text in lower case is that part of the text in lower case', () => {
    const mixed = fc.string({ unit: fc.constantFrom('a', 'Σ', 'İ', 'É', ' ', '𐐀', '.') });
    fc.assert(
      fc.property(mixed, mixed, mixed, (before, part, after) => {
        expect(foldCase(before + part + after)).toBe(foldCase(before) + foldCase(part) + foldCase(after));
      }),
    );
  });
});
