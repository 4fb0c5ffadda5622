export const MERGE_STATES = ['draft', 'dirty', 'behind', 'clean', 'unknown'] as const;
export type MergeState = (typeof MERGE_STATES)[number];

/** What a trial merge of the head branch into the base branch showed. */
export interface TrialMerge {
  /** It went without a conflict. */
  isClean: boolean;
  /** How many commits the head has that the base has not. */
  ahead: number;
  /** How many commits the base has that the head has not. */
  behind: number;
  /** Whether one of the commits ahead is a merge itself. */
  hasMergeCommits: boolean;
}

export interface MergeFacts {
  isDraft: boolean;
  baseExists: boolean;
  headExists: boolean;
  /** Null where a branch is missing; what there is of it is not looked at then either. */
  trial: TrialMerge | null;
}

/** Null where it is not known yet. */
export interface Mergeability {
  state: MergeState;
  /** Whether git can merge it; a draft, or a branch that is behind, may be. */
  mergeable: boolean | null;
  rebaseable: boolean | null;
}

/** Before the first computation, and from a push of either branch until the job has run. */
export const UNKNOWN_MERGEABILITY: Readonly<Mergeability> = { state: 'unknown', mergeable: null, rebaseable: null };

/**
 * The state is the first that applies: draft, dirty, behind, clean. A missing branch comes before all of them: what cannot
 * be merged at all is dirty, draft or not.
 */
export function mergeability({ isDraft, baseExists, headExists, trial }: MergeFacts): Mergeability {
  if (!baseExists || !headExists || trial === null) return { state: 'dirty', mergeable: false, rebaseable: false };
  return {
    state: stateOf(isDraft, trial),
    mergeable: trial.isClean,
    // A rebase drops merges, and with them what their authors did to resolve conflicts.
    rebaseable: trial.isClean && !trial.hasMergeCommits,
  };
}

function stateOf(isDraft: boolean, { isClean, behind }: TrialMerge): MergeState {
  if (isDraft) return 'draft';
  if (!isClean) return 'dirty';
  return behind > 0 ? 'behind' : 'clean';
}
