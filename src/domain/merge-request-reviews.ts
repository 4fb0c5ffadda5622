import { z } from 'zod';
import { gitlabId } from './merge-request.ts';
import { narrow } from './narrow.ts';
import type { Review, ReviewVerdict } from './review-decision.ts';

/**
 * What GitLab's states of a reviewer come to. `approved` is not among them: whether an approval stands is what the list of
 * approvals says, also after it was taken back or a push has reset it. A word that is unknown decides nothing.
 */
const REVIEWER_STATES: Partial<Record<string, ReviewVerdict>> = {
  unreviewed: 'pending',
  review_started: 'pending',
  reviewed: 'commented',
  requested_changes: 'changes_requested',
  unapproved: 'dismissed',
};

const user = z.object({ id: gitlabId });
const approvals = z.object({
  approved_by: z.array(z.object({ user })).nullish(),
  approvals_required: z.number().int().nonnegative().nullish(),
});
const reviewers = z.array(z.object({ user, state: z.string() }));

export interface StandingReviews {
  /** What stands now; reviewers by GitLab's ids. All are of the same time, since GitLab keeps no history of them. */
  reviews: Review[];
  reviewersAsked: boolean;
  /** What GitLab's own rules ask for; null where it does not say, as editions without such rules do not. */
  approvalsRequired: number | null;
}

/**
 * The reviews of a merge request as GitLab's API shows them now.
 * @param answers of `GET /projects/:id/merge_requests/:iid/approvals` and `…/reviewers`
 * @throws Refusal that names the field which is not as documented
 */
export function reviewsOfApi(answers: { approvals: unknown; reviewers: unknown }): StandingReviews {
  const { approved_by, approvals_required } = narrow(approvals, answers.approvals, 'approvals');
  const asked = narrow(reviewers, answers.reviewers, 'reviewers');
  const reviews: Review[] = [];
  for (const { user } of approved_by ?? []) reviews.push({ reviewer: user.id, verdict: 'approved', at: 0 });
  for (const { user, state } of asked) {
    const verdict = Object.hasOwn(REVIEWER_STATES, state) ? REVIEWER_STATES[state] : undefined;
    // Who has taken an approval back may have approved again since: then there is an approval, and that stands.
    const stands = verdict !== 'dismissed' || !reviews.some(({ reviewer }) => reviewer === user.id);
    if (verdict !== undefined && stands) reviews.push({ reviewer: user.id, verdict, at: 0 });
  }
  return { reviews, reviewersAsked: asked.length > 0, approvalsRequired: approvals_required ?? null };
}
