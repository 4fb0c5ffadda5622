import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/domain/refusal.ts';
import { checkPattern, checkTopic, isSystemTopic } from '../../src/domain/topic-pattern.ts';

describe('syntax', () => {
  test.each([
    ['', /^pattern: it is empty$/],
    ['.', /^pattern: token 1 of "\." is empty$/],
    ['a.', /^pattern: token 2 of "a\." is empty$/],
    ['.a', /^pattern: token 1 /],
    ['a..b', /^pattern: token 2 of "a\.\.b" is empty$/],
    ['>.a', /^pattern: token 1 of ">\.a" is ">", which may only come last$/],
    ['a.>.b', /^pattern: token 2 /],
    ['>.>', /^pattern: token 1 /],
    ['a.b*', /^pattern: token 2 of "a\.b\*", "b\*", mixes a wildcard/],
    ['**', /^pattern: token 1 .*mixes/],
    ['a.>>', /^pattern: token 2 .*mixes/],
    ['a.b c', /^pattern: token 2 .*white space/],
    ['a.b\n', /^pattern: token 2 .*white space/],
    ['a\u0000', /^pattern: token 1 .*control character/],
    ['a.\ud83d', /^pattern: token 2 of "a.\\ud83d" has half a character/],
    ['a'.repeat(256), /^pattern: it has 256 characters; 255 at most$/],
  ])('E3: the pattern %j is refused, and the token named', (pattern, message) => {
    expect(() => checkPattern(pattern)).toThrow(message);
  });

  test.each(['*', '>', 'a.*', 'a.>', '*.a'])('E3: the topic %j is refused: wildcards are for patterns', (topic) => {
    expect(() => checkTopic(topic)).toThrow(/^topic: token [12] of .* is the wildcard/);
  });

  test.each(['a', 'a.b', 'A_b-c.1', 'a'.repeat(255), 'système.événement'])(
    'E3: %j is a topic and a pattern',
    (text) => {
      expect(checkTopic(text)).toBe(text);
      expect(checkPattern(text)).toBe(text);
    },
  );

  test.each([
    ['a..b', /^topic: token 2 of "a\.\.b" is empty$/],
    ['', /^topic: it is empty$/],
    ['a.b c', /^topic: token 2 .*white space/],
    ['a'.repeat(256), /^topic: it has 256 characters; 255 at most$/],
  ])('E3: the topic %j is refused, and the token named', (topic, message) => {
    expect(() => checkTopic(topic)).toThrow(message);
  });

  test.each(['*', '>', 'a.*', 'a.*.b', '*.>', '*.*.>', 'a.>'])('E3: %j is a pattern', (pattern) => {
    expect(checkPattern(pattern)).toBe(pattern);
  });

  test('E3: no text at all brings out anything but a Refusal, and a topic is always a pattern', () => {
    const anyText = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc
        .array(fc.constantFrom('a', '.', '*', '>', ' ', '\t', '\ud800', 'é'), { maxLength: 12 })
        .map((all) => all.join('')),
    );
    const accepts = (check: (text: string) => string, text: string): boolean => {
      try {
        return check(text) === text;
      } catch (error) {
        if (error instanceof Refusal && error.kind === 'invalid') return false;
        throw error;
      }
    };
    fc.assert(
      fc.property(anyText, (text) => {
        const isPattern = accepts(checkPattern, text);
        return isPattern || !accepts(checkTopic, text);
      }),
      { numRuns: 5_000 },
    );
  });
});

test.each([
  ['system.webhook.health', true],
  ['system.x', true],
  ['system', false],
  ['systems.x', false],
  ['System.x', false],
  ['gitlab.system.x', false],
])('E3: whether %s is said by the system itself: %s', (topic, expected) => {
  expect(isSystemTopic(topic)).toBe(expected);
});
