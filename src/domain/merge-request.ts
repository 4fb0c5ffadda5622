import { z } from 'zod';
import { narrow } from './narrow.ts';

/** GitLab's own words; `locked` while GitLab is merging it. */
export const MERGE_REQUEST_STATES = ['opened', 'closed', 'merged', 'locked'] as const;
export type MergeRequestState = (typeof MERGE_REQUEST_STATES)[number];

/** What is kept of a merge request, as GitLab tells it. */
export interface MergeRequest {
  gitlabId: number;
  /** Its number within the project, as people know it: `!12`. */
  iid: number;
  /** The project it lives in, which its base branch is in. */
  gitlabProjectId: number;
  title: string;
  sourceBranch: string;
  targetBranch: string;
  /** The project its head branch is in: another one where it comes from a fork; null where that fork is gone. */
  sourceGitlabProjectId: number | null;
  /** Null where it has no commits. */
  headSha: string | null;
  isDraft: boolean;
  state: MergeRequestState;
  /** GitLab's ids of the users asked for a review; null where GitLab did not say, which is not the same as nobody. */
  reviewers: number[] | null;
  /** By GitLab's clock, epoch ms, for events that overtake one another; null where GitLab did not say. */
  updatedAt: number | null;
}

/** GitLab's ids are numbers, safe below 2^53. */
export const gitlabId = z.number().positive('it is not greater than 0').int();

/** A commit's name in full, by SHA-1 or SHA-256. It ends up in command lines of git, where nothing else may. */
export const sha = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, "it is not a commit's full hash");

/**
 * A branch's name as git allows it (`git check-ref-format`), for what is made of it in turn: in a refspec a colon or an
 * asterisk would name other branches.
 */
export const branchName = z.string().refine(isBranchName, "it is not a branch's name");

function isBranchName(name: string): boolean {
  if (name === '' || name === '@' || name.length > 255) return false;
  if (/[\u0000-\u0020\u007f~^:?*[\\]|\.\.|@\{|^-|\/\/|^\/|\/$|\.$/.test(name)) return false;
  return name.split('/').every((part) => !part.startsWith('.') && !part.endsWith('.lock'));
}

// Postgres has no text with a NUL in it.
const title = z.string().transform((text) => text.replaceAll('\u0000', '\ufffd'));
const LATEST_TIME = Date.UTC(10_000, 0);
const time = z.string().transform((text) => {
  // As in `2026-11-21T07:30:54Z` and in `2026-11-21 07:30:54 UTC`; GitLab's events have both.
  const at = Date.parse(text);
  return at >= 0 && at < LATEST_TIME ? at : null; // else it is no time, or none that Postgres has too
});
const users = z.array(z.object({ id: gitlabId })).transform((list) => list.map(({ id }) => id));
const state = z.enum(MERGE_REQUEST_STATES, `it is none of ${MERGE_REQUEST_STATES.join(', ')}`);

const shared = {
  id: gitlabId,
  iid: gitlabId,
  title,
  source_branch: branchName,
  target_branch: branchName,
  source_project_id: gitlabId.nullish(),
  target_project_id: gitlabId,
  draft: z.boolean().nullish(),
  /** The older name of `draft`. */
  work_in_progress: z.boolean().nullish(),
  state,
  updated_at: time.nullish(),
};

/** A merge request within an event: `object_attributes` of its own events, `merge_request` of those of comments. */
const withinEvent = z.object({
  ...shared,
  last_commit: z.object({ id: sha }).nullish(),
  reviewer_ids: z.array(gitlabId).nullish(),
});
const ownEvent = z.object({ object_attributes: withinEvent, reviewers: users.nullish() });
const noteEvent = z.object({ merge_request: withinEvent });
const fromApi = z.object({ ...shared, sha: sha.nullish(), reviewers: users.nullish() });

/** Whether an event of GitLab tells of a merge request in full, as its own events do, and those of comments on it. */
export function tellsOfMergeRequest(payload: unknown): boolean {
  const { success, data } = z
    .object({ object_kind: z.string(), merge_request: z.unknown().optional() })
    .safeParse(payload);
  if (!success) return false;
  const isOnMergeRequest = data.merge_request !== undefined && data.merge_request !== null;
  return data.object_kind === 'merge_request' || (data.object_kind === 'note' && isOnMergeRequest);
}

/**
 * The merge request that an event of GitLab tells of in full: its own (`object_kind` is `merge_request`) or that of a
 * comment on it (`note`).
 * @throws Refusal that names the field which is not as documented
 */
export function mergeRequestOfEvent(payload: unknown): MergeRequest {
  const { object_kind } = narrow(z.object({ object_kind: z.string() }), payload, 'payload');
  if (object_kind === 'note') {
    const { merge_request: found } = narrow(noteEvent, payload, 'payload');
    return kept(found, found.last_commit?.id, found.reviewer_ids);
  }
  const { object_attributes: found, reviewers } = narrow(ownEvent, payload, 'payload');
  return kept(found, found.last_commit?.id, found.reviewer_ids ?? reviewers);
}

/**
 * A merge request as GitLab's API shows it (`GET /projects/:id/merge_requests/:iid`, or one of a list).
 * @throws Refusal that names the field which is not as documented
 */
export function mergeRequestOfApi(answer: unknown): MergeRequest {
  const found = narrow(fromApi, answer, 'merge request');
  return kept(found, found.sha, found.reviewers);
}

type Shared = z.infer<z.ZodObject<typeof shared>>;

function kept(found: Shared, headSha: string | null | undefined, reviewers: number[] | null | undefined): MergeRequest {
  return {
    gitlabId: found.id,
    iid: found.iid,
    gitlabProjectId: found.target_project_id,
    title: found.title,
    sourceBranch: found.source_branch,
    targetBranch: found.target_branch,
    sourceGitlabProjectId: found.source_project_id ?? null,
    headSha: headSha ?? null,
    isDraft: found.draft ?? found.work_in_progress ?? false,
    state: found.state,
    reviewers: reviewers ?? null,
    updatedAt: found.updated_at ?? null,
  };
}
