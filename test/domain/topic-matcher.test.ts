import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TopicMatcher } from '../../src/domain/topic-matcher.ts';
import { checkPattern, checkTopic } from '../../src/domain/topic-pattern.ts';

function matches(pattern: string, topic: string): boolean {
  return new TopicMatcher([{ patterns: [checkPattern(pattern)] }]).match(checkTopic(topic)).size === 1;
}

/** Written from the rules alone: each token to an expression, one after the other. */
function oracle(pattern: string, topic: string): boolean {
  if (topic.startsWith('system.') && !pattern.startsWith('system.')) return false;
  const tokens = pattern.split('.').map((token) => {
    if (token === '*') return '[^.]+';
    if (token === '>') return '[^.]+(\\.[^.]+)*';
    return token.replace(/[$()*+?[\\\]^{|}]/g, '\\$&');
  });
  return new RegExp(`^${tokens.join('\\.')}$`, 'u').test(topic);
}

// Few different tokens, so that many pairs match.
const plain = fc.constantFrom('a', 'system', 'system', 'a+');
const topics = fc.array(plain, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const patterns = fc
  .tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: plain }, { weight: 1, arbitrary: fc.constant('*') }), { maxLength: 4 }),
    fc.boolean(),
  )
  .map(([tokens, open]) => [...tokens, ...(open || tokens.length === 0 ? ['>'] : [])].join('.'));

describe('one pattern', () => {
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
    ['gitlab.*.done', 'gitlab.job.build.done', false],
    ['gitlab.>', 'gitlab.push', true],
    ['gitlab.>', 'gitlab.push.tag.new', true],
    ['gitlab.>', 'gitlab', false],
    ['gitlab.>', 'github.push', false],
    ['>', 'gitlab', true],
    ['>', 'gitlab.push.tag', true],
    ['*.>', 'gitlab', false],
    ['*.>', 'gitlab.push.tag', true],
    ['a+b', 'aab', false],
    ['constructor', 'constructor', true],
    ['žluťoučký.*', 'žluťoučký.kůň', true],
  ])('E3: %s and %s: %s', (pattern, topic, expected) => {
    expect(matches(pattern, topic)).toBe(expected);
    expect(oracle(pattern, topic)).toBe(expected);
  });

  test.each([
    ['>', 'system.webhook.health', false],
    ['*.>', 'system.webhook.health', false],
    ['*.webhook.health', 'system.webhook.health', false],
    ['*.health', 'system.health', false],
    ['system.>', 'system.webhook.health', true],
    ['system.*', 'system.health', true],
    ['system.*.health', 'system.webhook.health', true],
    ['system.webhook.health', 'system.webhook.health', true],
    // Neither of these is under `system.`.
    ['>', 'systems.health', true],
    ['*', 'system', true],
    ['*.*', 'gitlab.system', true],
  ])('E3: what the system says goes to who asks for it by name: %s and %s: %s', (pattern, topic, expected) => {
    expect(matches(pattern, topic)).toBe(expected);
    expect(oracle(pattern, topic)).toBe(expected);
  });

  test('E3: agrees with an oracle of regular expressions', () => {
    const seen = { matched: 0, missed: 0, systemMatched: 0, systemMissed: 0 };
    fc.assert(
      fc.property(patterns, topics, (pattern, topic) => {
        const expected = oracle(pattern, topic);
        seen[expected ? 'matched' : 'missed']++;
        if (topic.startsWith('system.')) seen[expected ? 'systemMatched' : 'systemMissed']++;
        expect(matches(pattern, topic)).toBe(expected);
      }),
      { numRuns: 5_000 },
    );
    // Agreeing means something only where both answers come up.
    expect(seen.matched).toBeGreaterThan(500);
    expect(seen.missed).toBeGreaterThan(500);
    expect(seen.systemMatched).toBeGreaterThan(50);
    expect(seen.systemMissed).toBeGreaterThan(500);
  });

  test('E3: any topic is a pattern that matches that topic', () => {
    fc.assert(
      fc.property(topics, (topic) => {
        expect(matches(topic, topic)).toBe(true);
      }),
    );
  });
});

describe('many subscriptions', () => {
  test('E3: a subscription whose patterns match more than once is found once', () => {
    const eager = { patterns: ['gitlab.push', 'gitlab.*', '*.push', '>', 'gitlab.push'] };
    const other = { patterns: ['github.>'] };
    expect([...new TopicMatcher([eager, other]).match('gitlab.push')]).toEqual([eager]);
  });

  test('E3: two subscriptions with the same patterns are both found', () => {
    const twins = [{ patterns: ['a.>'] }, { patterns: ['a.>'] }];
    expect([...new TopicMatcher(twins).match('a.b')]).toEqual(twins);
  });

  test('E3: nobody is found where nobody is interested', () => {
    expect(new TopicMatcher([]).match('a.b').size).toBe(0);
    expect(new TopicMatcher([{ patterns: [] }]).match('a.b').size).toBe(0);
  });

  test('E3: exactly those with a matching pattern are found, each once, by a matcher that answers again and again', () => {
    const seen = { none: 0, some: 0, all: 0, byTwoPatterns: 0 };
    const subscriptions = fc
      .array(fc.array(patterns, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 20 })
      .map((all) => all.map((patterns, id) => ({ id, patterns })));
    fc.assert(
      fc.property(subscriptions, fc.array(topics, { minLength: 1, maxLength: 10 }), (subscriptions, topics) => {
        const matcher = new TopicMatcher(subscriptions);
        for (const topic of topics) {
          const hits = subscriptions.map(({ patterns }) => patterns.filter((one) => oracle(one, topic)).length);
          const expected = subscriptions.filter((_, i) => hits[i]! > 0);
          seen[expected.length === 0 ? 'none' : expected.length < subscriptions.length ? 'some' : 'all']++;
          if (hits.some((count) => count > 1)) seen.byTwoPatterns++;
          const found = [...matcher.match(topic)];
          expect(found.sort((a, b) => a.id - b.id)).toEqual(expected);
        }
      }),
      { numRuns: 500 },
    );
    expect(seen.none).toBeGreaterThan(100);
    expect(seen.some).toBeGreaterThan(100);
    expect(seen.all).toBeGreaterThan(20);
    expect(seen.byTwoPatterns).toBeGreaterThan(100);
  });
});
