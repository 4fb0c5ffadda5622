import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../src/domain/refusal.ts';
import { checkPattern, checkTopic, matchesTopic } from '../../src/domain/topic-pattern.ts';

describe('matching', () => {
  test.each([
    ['gitlab.push', 'gitlab.push', true],
    ['gitlab.push', 'gitlab.Push', false],
    ['gitlab.push', 'gitlab.push.x', false],
    ['gitlab.push', 'gitlab', false],
    ['gitlab.*', 'gitlab.push', true],
    ['gitlab.*', 'gitlab', false],
    ['gitlab.*', 'gitlab.push.tag', false],
    ['*', 'gitlab', true],
    ['*', 'gitlab.push', false],
    ['*.push', 'gitlab.push', true],
    ['*.*', 'gitlab.push', true],
    ['gitlab.*.done', 'gitlab.job.done', true],
    ['gitlab.*.done', 'gitlab.done', false],
    ['gitlab.>', 'gitlab.push', true],
    ['gitlab.>', 'gitlab.push.tag.new', true],
    ['gitlab.>', 'gitlab', false],
    ['gitlab.>', 'github.push', false],
    ['>', 'gitlab', true],
    ['>', 'gitlab.push.tag', true],
    ['*.>', 'gitlab', false],
    ['*.>', 'gitlab.push.tag', true],
    ['a+b', 'aab', false],
    ['žluťoučký.*', 'žluťoučký.kůň', true],
  ])('E3: %s and %s: %s', (pattern, topic, matches) => {
    expect(matchesTopic(checkPattern(pattern), checkTopic(topic))).toBe(matches);
  });

  /** Written from the rules alone: each token to an expression, one after the other. */
  function oracle(pattern: string): RegExp {
    const tokens = pattern.split('.').map((token) => {
      if (token === '*') return '[^.]+';
      if (token === '>') return '[^.]+(\\.[^.]+)*';
      return token.replace(/[$()*+?[\\\]^{|}]/g, '\\$&');
    });
    return new RegExp(`^${tokens.join('\\.')}$`, 'u');
  }

  // Few different tokens, so that many pairs match.
  const plain = fc.constantFrom('a', 'b', 'push', '$', 'a+', '(x|y)', '[a-z]', '^');
  const topic = fc.array(plain, { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join('.'));
  const pattern = fc
    .tuple(fc.array(fc.oneof(plain, fc.constant('*')), { maxLength: 5 }), fc.boolean())
    .map(([tokens, open]) => [...tokens, ...(open || tokens.length === 0 ? ['>'] : [])].join('.'));

  test('E3: agrees with an oracle of regular expressions', () => {
    let matched = 0;
    fc.assert(
      fc.property(pattern, topic, (pattern, topic) => {
        const expected = oracle(pattern).test(topic);
        matched += expected ? 1 : 0;
        return matchesTopic(checkPattern(pattern), checkTopic(topic)) === expected;
      }),
      { numRuns: 5_000 },
    );
    expect(matched).toBeGreaterThan(200);
  });
});

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

  test('E3: no text at all brings out anything but a Refusal, and a topic is always a pattern that matches itself', () => {
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
        if (accepts(checkTopic, text)) return isPattern && matchesTopic(text, text);
        return true;
      }),
      { numRuns: 5_000 },
    );
  });
});
