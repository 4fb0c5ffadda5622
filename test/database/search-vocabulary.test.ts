import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PostingsReader, PostingsWriter } from '../../src/database/search-postings.ts';
import { Vocabulary } from '../../src/database/search-vocabulary.ts';
import { foldCase } from '../../src/domain/search-terms.ts';
import { RUN_LIMIT, signRuns, WORD_LIMIT, wordRuns } from '../../src/domain/search-words.ts';

/** Words and the files they are in, as they would be stored. */
function stored(vocabulary: Vocabulary): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const { kind, words, files } of vocabulary.groups()) {
    const reader = new PostingsReader(files);
    const text = words.toString();
    expect(Buffer.from(text).equals(words)).toBe(true);
    for (const word of text.slice(1, -1).split('\n')) {
      expect(!/^[\w\u0080-\uffff]/.test(word) ? 'signs' : Buffer.byteLength(word) > 32 ? 'long' : 'short').toBe(kind);
      expect(found.has(word)).toBe(false);
      found.set(word, reader.next());
    }
  }
  return found;
}

function vocabularyOf(...texts: string[]): Vocabulary {
  const vocabulary = new Vocabulary();
  for (const [file, text] of texts.entries()) vocabulary.addText(file, Buffer.from(text));
  return vocabulary;
}

describe('postings', () => {
  test('J10: files of words come back as they were, and can be skipped', () => {
    const lists = fc.array(fc.uniqueArray(fc.nat(2 ** 31 - 1)).map((files) => files.sort((a, b) => a - b)));
    fc.assert(
      fc.property(lists, (words) => {
        const writer = new PostingsWriter();
        for (const files of words) writer.add(files);
        const bytes = writer.take();
        const reader = new PostingsReader(bytes);
        expect(words.map(() => reader.next())).toEqual(words);
        const skipping = new PostingsReader(bytes);
        for (const [at, files] of words.entries()) {
          if (at % 2 === 0) skipping.skip();
          else expect(skipping.next()).toEqual(files);
        }
      }),
    );
  });
});

describe('the vocabulary of files', () => {
  test('J11: a word is letters, digits and _ of ASCII, and all that is not ASCII; each is kept once, folded', () => {
    const found = stored(vocabularyOf('Foo bar foo_bar\nÜber größe\tx1', 'foo 日本 x1', ''));
    expect(Object.fromEntries(found)).toEqual({
      foo: [0, 1],
      bar: [0],
      foo_bar: [0],
      Über: [0],
      größe: [0],
      x1: [0, 1],
      日本: [1],
    });
  });

  test('J11: signs are words, one by one and two by two', () => {
    const found = stored(vocabularyOf('a => {}\n', 'b=c', '(\u001b[{}'));
    expect(Object.fromEntries(found)).toEqual({
      a: [0],
      '=': [0, 1],
      '=>': [0],
      '>': [0],
      '{': [0, 2],
      '{}': [0, 2],
      '}': [0, 2],
      b: [1],
      c: [1],
      '(': [2],
      '(\u001b': [2],
      '\u001b': [2],
      '\u001b[': [2],
      '[': [2],
      '[{': [2],
    });
  });

  test('J11: more words than it was made for', () => {
    const words = Array.from({ length: 30_000 }, (_, at) => `word${at}`);
    const found = stored(vocabularyOf(words.join(' '), words.slice(0, 20_000).join(' ')));
    expect(found.size).toBe(30_000);
    expect(found.get('word19999')).toEqual([0, 1]);
    expect(found.get('word20000')).toEqual([0]);
  });

  const character = fc.constantFrom(
    'a',
    'B',
    '7',
    '_',
    'é',
    'ß',
    'İ',
    'Σ',
    'ς',
    '日',
    '🔥',
    '\u212a',
    ' ',
    '.',
    '-',
    '\n',
    '(',
    'ab',
  );
  const long = fc
    .array(fc.constantFrom('a', 'b', 'é', '日', '🔥'), { minLength: 20, maxLength: 200 })
    .map((all) => all.join(''));
  const text = fc.array(fc.oneof({ weight: 9, arbitrary: character }, { weight: 1, arbitrary: long }), {
    maxLength: 60,
  });

  test('J11: whatever part of a text is a term, each of its runs is in one of the words of that text', () => {
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(), (parts, start, length) => {
        const characters = parts.flatMap((part) => Array.from(part));
        const from = start % (characters.length + 1);
        const term = foldCase(characters.slice(from, from + (length % 300)).join(''));
        const words = [...stored(vocabularyOf(foldCase(characters.join('')))).keys()];
        for (const word of words) expect(Buffer.byteLength(word)).toBeLessThanOrEqual(WORD_LIMIT);
        for (const run of wordRuns(term)) {
          expect(Buffer.byteLength(run)).toBeLessThanOrEqual(RUN_LIMIT);
          expect(words.some((word) => word.includes(run))).toBe(true);
        }
        for (const run of signRuns(term)) expect(words).toContain(run);
        if (term.trim() !== '') expect([...wordRuns(term), ...signRuns(term)]).not.toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });

  test('J11: two vocabularies that are merged are the one of all their files', () => {
    fc.assert(
      fc.property(fc.array(text), fc.array(text), (first, second) => {
        const texts = [...first, ...second].map((parts) => foldCase(parts.join('')));
        const merged = new Vocabulary();
        for (const [word, files] of stored(vocabularyOf(...texts.slice(0, first.length))))
          merged.addWord(Buffer.from(word), files);
        const rest = vocabularyOf(...texts.slice(first.length));
        for (const [word, files] of stored(rest)) {
          merged.addWord(
            Buffer.from(word),
            files.map((file) => file + first.length),
          );
        }
        expect(new Map([...stored(merged)].sort())).toEqual(new Map([...stored(vocabularyOf(...texts))].sort()));
      }),
    );
  });

  test('J11: the runs of a term, the longest first, each once and none within another', () => {
    expect(wordRuns('foo(bar, foo_bar)')).toEqual(['foo_bar']);
    expect(wordRuns('new abortcontroller()')).toEqual(['abortcontroller', 'new']);
    expect(wordRuns('=> {')).toEqual([]);
    expect(signRuns('=> {')).toEqual(['=>']);
    expect(signRuns('a) ; \t')).toEqual([')', ';']);
    expect(wordRuns('x'.repeat(100))).toEqual(['x'.repeat(28)]);
    expect(wordRuns('日'.repeat(100))).toEqual(['日'.repeat(9)]);
  });
});
