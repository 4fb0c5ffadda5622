export const REVIEW_VERDICTS = ['approved', 'changes_requested', 'commented', 'dismissed', 'pending'] as const;
export type ReviewVerdict = (typeof REVIEW_VERDICTS)[number];

export interface Review {
  /** Whoever it is by, by any id. */
  reviewer: string | number;
  verdict: ReviewVerdict;
  /** Epoch ms. */
  at: number;
}

export type ReviewDecision = 'approved' | 'changes_requested' | 'review_required';

export interface ReviewFacts {
  /** In any order. */
  reviews: Iterable<Review>;
  /** How many approvals the repository asks for. */
  requiredApprovals: number;
  /** Whether anybody was asked for a review. */
  reviewersAsked: boolean;
}

/**
 * Comments and reviews not yet submitted are not here: they decide nothing, and replace nothing that does. Of two at the
 * same time the one that holds the merge request back counts, so that the order they come in makes no difference.
 */
const DECISIVE: Partial<Record<ReviewVerdict, number>> = { approved: 0, dismissed: 1, changes_requested: 2 };

/** What the reviews come to; null where there is nothing to decide: nobody was asked, and no approval is required. */
export function reviewDecision({ reviews, requiredApprovals, reviewersAsked }: ReviewFacts): ReviewDecision | null {
  const latest = new Map<string | number, Review & { weight: number }>();
  for (const review of reviews) {
    const weight = DECISIVE[review.verdict];
    if (weight === undefined) continue;
    const known = latest.get(review.reviewer);
    if (known && (known.at > review.at || (known.at === review.at && known.weight >= weight))) continue;
    latest.set(review.reviewer, { ...review, weight });
  }
  const verdicts = [...latest.values()].map(({ verdict }) => verdict);
  if (verdicts.includes('changes_requested')) return 'changes_requested';
  const approvals = verdicts.filter((verdict) => verdict === 'approved').length;
  // Not even where none is required is it approved without anybody's approval.
  if (approvals >= Math.max(requiredApprovals, 1)) return 'approved';
  return requiredApprovals > 0 || reviewersAsked ? 'review_required' : null;
}
