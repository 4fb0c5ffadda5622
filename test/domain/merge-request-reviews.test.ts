import { describe, expect, test } from 'vitest';
import { reviewsOfApi } from '../../src/domain/merge-request-reviews.ts';
import { reviewDecision } from '../../src/domain/review-decision.ts';
import { refusalOf } from '../support/refusal-of.ts';

/** As GitLab's API shows them: who approves, and what each reviewer has done, by ids. */
function answers(approvedBy: number[], states: [number, string][] = []) {
  return {
    approvals: {
      id: 99,
      approvals_required: 1,
      approved_by: approvedBy.map((id) => ({ user: { id, username: `u${id}` } })),
    },
    reviewers: states.map(([id, state]) => ({ user: { id, username: `u${id}` }, state, created_at: '2026-11-12' })),
  };
}

const decide = (approvedBy: number[], states: [number, string][] = []) => {
  const { reviews, reviewersAsked } = reviewsOfApi(answers(approvedBy, states));
  return reviewDecision({ reviews, reviewersAsked, requiredApprovals: 1 });
};

describe("GitLab's reviews", () => {
  test.each<[string, number[], [number, string][], string]>([
    ['nobody has', [], [[4, 'unreviewed']], 'review_required'],
    ['one approves', [4], [[4, 'approved']], 'approved'],
    ['one approves that was not asked', [6], [[4, 'unreviewed']], 'approved'],
    ['one has asked for changes', [], [[4, 'requested_changes']], 'changes_requested'],
    ['one has, another approves', [6], [[4, 'requested_changes']], 'changes_requested'],
    ['one has, and approves still', [4], [[4, 'requested_changes']], 'changes_requested'],
    ['one has commented', [], [[4, 'reviewed']], 'review_required'],
    ['one has begun', [], [[4, 'review_started']], 'review_required'],
    ['one has taken it back', [], [[4, 'unapproved']], 'review_required'],
    ['one has taken it back and approved again', [4], [[4, 'unapproved']], 'approved'],
    ['an approval that a push has reset', [], [[4, 'approved']], 'review_required'],
    ['something new', [], [[4, 'constructor']], 'review_required'],
  ])('J8: %s', (_, approvedBy, states, expected) => {
    expect(decide(approvedBy, states)).toBe(expected);
  });

  test('J8: who is asked, and what GitLab requires', () => {
    expect(reviewsOfApi(answers([]))).toEqual({ reviews: [], reviewersAsked: false, approvalsRequired: 1 });
    expect(reviewsOfApi({ approvals: {}, reviewers: [] }).approvalsRequired).toBeNull();
  });

  test('J8: an answer that is not as documented is refused by its field', () => {
    const wrong = { ...answers([]), reviewers: [{ user: { id: 4 } }] };
    expect(refusalOf(() => reviewsOfApi(wrong)).message).toBe('0.state: it is missing');
    expect(refusalOf(() => reviewsOfApi({ ...answers([]), approvals: null })).field).toBe('approvals');
  });
});
