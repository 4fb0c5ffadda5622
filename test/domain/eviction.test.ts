import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planEviction, type Used } from '../../src/domain/eviction.ts';

const cached = fc.uniqueArray(
  fc.record({
    key: fc.string({ minLength: 1, maxLength: 3 }),
    sizeBytes: fc.nat({ max: 20 }),
    lastUsedAt: fc.oneof(fc.nat({ max: 5 }), fc.double({ min: 0, max: 5, noNaN: true })),
  }),
  { selector: ({ key }) => key, maxLength: 12 },
);

/** Takes away the one that was used longest ago, looks again, and so on. */
function naive(all: readonly Used[], quotaBytes: number): Used[] {
  const left = [...all];
  const gone: Used[] = [];
  while (quotaBytes > 0 && left.reduce((sum, one) => sum + one.sizeBytes, 0) > quotaBytes) {
    const oldest = Math.min(...left.map(({ lastUsedAt }) => lastUsedAt));
    const [first] = left.filter(({ lastUsedAt }) => lastUsedAt === oldest).sort((a, b) => (a.key < b.key ? -1 : 1));
    gone.push(first!);
    left.splice(left.indexOf(first!), 1);
  }
  return gone;
}

test('U6: what is evicted is what one gets by taking the least recently used away until the rest fits', () => {
  fc.assert(
    fc.property(cached, fc.nat({ max: 150 }), (all, quota) => {
      expect(planEviction(all, quota)).toEqual(naive(all, quota));
    }),
    { numRuns: 500 },
  );
});

test('U6: the order in which the cache lists them does not matter', () => {
  fc.assert(
    fc.property(cached, fc.infiniteStream(fc.nat()), fc.nat({ max: 60 }), (all, random, quota) => {
      const shuffled = all.map((one) => ({ one, at: random.next().value as number })).sort((a, b) => a.at - b.at);
      const other = shuffled.map(({ one }) => one);
      expect(planEviction(other, quota)).toEqual(planEviction(all, quota));
    }),
  );
});

const three = [
  { key: 'c', sizeBytes: 10, lastUsedAt: 3 },
  { key: 'a', sizeBytes: 10, lastUsedAt: 1 },
  { key: 'b', sizeBytes: 10, lastUsedAt: 2 },
];

test.each([
  [0, '', 'no limit'],
  [30, '', 'exactly full'],
  [29, 'a', 'one byte too much'],
  [20, 'a', 'the rest fits exactly'],
  [19, 'a b', 'and one more'],
  [1, 'a b c', 'nothing fits'],
])('U6: of 30 bytes with a quota of %i go: %s (%s)', (quota, gone) => {
  expect(planEviction(three, quota).map(({ key }) => key)).toEqual(gone.split(' ').filter(Boolean));
});

test('U6: one that is larger than the quota goes, and what was used later stays', () => {
  const large = { key: 'large', sizeBytes: 100, lastUsedAt: 0 };
  expect(planEviction([...three, large], 50)).toEqual([large]);
});

test('U6: the plan for a hundred thousand artefacts takes no time to speak of', () => {
  const many = Array.from({ length: 100_000 }, (_, i) => ({
    key: `k${i}`,
    sizeBytes: 1,
    lastUsedAt: (i * 7919) % 100_003,
  }));
  const startedAt = performance.now();
  expect(planEviction(many, 50_000)).toHaveLength(50_000);
  expect(performance.now() - startedAt).toBeLessThan(3_000);
});
