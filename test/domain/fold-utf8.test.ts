import fc from 'fast-check';
import { expect, test } from 'vitest';
import { foldUtf8 } from '../../src/domain/fold-utf8.ts';
import { foldCase } from '../../src/domain/search-terms.ts';

const lowerAscii = (text: string): string => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

test('J10: what is beyond ASCII is folded as the terms of a search are', () => {
  const character = fc.oneof(
    fc.constantFrom('a', 'B', ' ', 'É', 'é', 'Σ', 'ς', 'İ', 'ı', 'K', 'ẞ', '–', '漢', '😀', 'Ⅷ', 'Ά'),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
  );
  const text = fc.oneof(fc.string({ unit: character }), fc.string({ unit: character, minLength: 200, maxLength: 400 }));
  fc.assert(
    fc.property(text, (given) => {
      const folded = Buffer.from(foldUtf8(Buffer.from(given))).toString();
      expect(lowerAscii(folded)).toBe(foldCase(given));
    }),
    { numRuns: 500 },
  );
});

test('J10: a text without letters beyond ASCII comes back as it is', () => {
  for (const text of ['Plain', '', 'it costs 3 €, “all in” – 漢字']) {
    const bytes = Buffer.from(text);
    expect(foldUtf8(bytes)).toBe(bytes);
  }
});
