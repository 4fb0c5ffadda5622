import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  REVIEW_VERDICTS,
  type Review,
  type ReviewDecision,
  reviewDecision,
  type ReviewFacts,
  type ReviewVerdict,
} from '../../src/domain/review-decision.ts';

/** `ada approved`, `bob changes_requested` …, one after the other. */
function history(...lines: string[]): Review[] {
  return lines.map((line, at) => {
    const [reviewer, verdict] = line.split(' ') as [string, ReviewVerdict];
    return { reviewer, verdict, at };
  });
}

const decide = (reviews: Review[], requiredApprovals = 1, reviewersAsked = true): ReviewDecision | null =>
  reviewDecision({ reviews, requiredApprovals, reviewersAsked });

describe('the review decision', () => {
  test.each<[string, Review[], ReviewDecision]>([
    ['nothing', [], 'review_required'],
    ['an approval', history('ada approved'), 'approved'],
    ['a change request', history('ada changes_requested'), 'changes_requested'],
    ['a comment', history('ada commented'), 'review_required'],
    ['a review not yet submitted', history('ada pending'), 'review_required'],
    ['a change request, then an approval', history('ada changes_requested', 'ada approved'), 'approved'],
    ['an approval, then a change request', history('ada approved', 'ada changes_requested'), 'changes_requested'],
    ['an approval, then a comment', history('ada approved', 'ada commented'), 'approved'],
    [
      'a change request, then one not yet submitted',
      history('ada changes_requested', 'ada pending'),
      'changes_requested',
    ],
    ['a dismissed approval', history('ada approved', 'ada dismissed'), 'review_required'],
    ['a dismissed change request', history('ada changes_requested', 'ada dismissed'), 'review_required'],
    ['approved again', history('ada approved', 'ada dismissed', 'ada approved'), 'approved'],
    [
      'a change request among approvals',
      history('ada approved', 'bob changes_requested', 'eve approved'),
      'changes_requested',
    ],
    [
      'a change request dismissed among approvals',
      history('ada approved', 'bob changes_requested', 'bob dismissed'),
      'approved',
    ],
  ])('J8: %s', (_, reviews, expected) => {
    expect(decide(reviews)).toBe(expected);
  });

  test.each([
    [0, 'approved'],
    [1, 'approved'],
    [2, 'approved'],
    [3, 'review_required'],
  ])('J8: two of %i required approvals, one of them given twice: %s', (required, expected) => {
    expect(decide(history('ada approved', 'bob approved', 'ada approved'), required)).toBe(expected);
  });

  test('J8: none where nobody was asked and nothing is required, until somebody says something', () => {
    expect(decide([], 0, false)).toBeNull();
    expect(decide(history('ada commented'), 0, false)).toBeNull();
    expect(decide(history('ada approved', 'ada dismissed'), 0, false)).toBeNull();
    expect(decide(history('ada approved'), 0, false)).toBe('approved');
    expect(decide(history('ada changes_requested'), 0, false)).toBe('changes_requested');
    expect(decide([], 1, false)).toBe('review_required');
  });

  test('J8: where nothing is required, who was asked is still awaited', () => {
    expect(decide([], 0, true)).toBe('review_required');
  });
});

/** Written from the rule's sentences, the slow way: for each reviewer, whatever they decided last, by asking everything of everyone. */
function oracle({ reviews, requiredApprovals, reviewersAsked }: ReviewFacts): ReviewDecision | null {
  const all = [...reviews].filter(({ verdict }) => verdict !== 'commented' && verdict !== 'pending');
  const stands = (review: Review): boolean =>
    !all.some((other) => other.reviewer === review.reviewer && other.at > review.at);
  const standing = all.filter(stands);
  const people = new Set(standing.map(({ reviewer }) => reviewer));
  const says = (reviewer: string | number, verdict: ReviewVerdict): boolean =>
    standing.some((review) => review.reviewer === reviewer && review.verdict === verdict);
  let approvals = 0;
  for (const one of people) {
    if (says(one, 'changes_requested')) return 'changes_requested';
    if (says(one, 'approved') && !says(one, 'dismissed')) approvals++;
  }
  if (approvals > 0 && approvals >= requiredApprovals) return 'approved';
  return requiredApprovals === 0 && !reviewersAsked ? null : 'review_required';
}

const reviews = fc.array(
  fc.record({
    reviewer: fc.constantFrom<string | number>('ada', 'bob', 'eve', 4),
    verdict: fc.constantFrom(...REVIEW_VERDICTS),
    at: fc.nat(6),
  }),
  { maxLength: 12 },
);

describe('any reviews', () => {
  test('J8: agree with a naive model, in whatever order they come', () => {
    const seen: Record<string, number> = {};
    const given = fc.record({ reviews, requiredApprovals: fc.nat(3), reviewersAsked: fc.boolean() });
    fc.assert(
      fc.property(given, fc.infiniteStream(fc.nat()), (facts, random) => {
        const expected = oracle(facts);
        seen[String(expected)] = (seen[String(expected)] ?? 0) + 1;
        expect(reviewDecision(facts)).toBe(expected);
        const shuffled = facts.reviews
          .map((review) => ({ review, key: random.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ review }) => review);
        expect(reviewDecision({ ...facts, reviews: shuffled })).toBe(expected);
      }),
      { numRuns: 5_000 },
    );
    for (const decision of ['approved', 'changes_requested', 'review_required', 'null']) {
      expect(seen[decision]).toBeGreaterThan(100);
    }
  });

  test('J8: a comment or an unsubmitted review more changes nothing', () => {
    fc.assert(
      fc.property(
        reviews,
        fc.constantFrom('commented' as const, 'pending' as const),
        fc.nat(7),
        (list, verdict, at) => {
          expect(decide([...list, { reviewer: 'ada', verdict, at }])).toBe(decide(list));
        },
      ),
    );
  });
});
