import { z } from 'zod';
import type { JobKind } from './job-kinds.ts';
import { branchName, gitlabId, sha } from './merge-request.ts';
import { narrow } from './narrow.ts';

/** What a job is to be about, by GitLab's ids; which of it we know, and under which ids, the database says. */
export type Subject =
  | { what: 'merge_request'; gitlabProjectId: number; iid: number }
  /** The open merge requests with this branch as their head, or as their head or base. */
  | { what: 'branch'; gitlabProjectId: number; name: string; as: 'head' | 'head_or_base' }
  /** The open merge requests with this head, of that project or of one that it was forked from. */
  | { what: 'commit'; gitlabProjectId: number; sha: string }
  | { what: 'repository'; gitlabProjectId: number };

export interface JobTrigger {
  kind: JobKind;
  about: Subject;
}

const project = z.object({ id: gitlabId, default_branch: z.string().nullish() });
const push = z.object({ ref: z.string(), project_id: gitlabId, project: project.nullish() });
const mergeRequest = z.object({
  object_attributes: z.object({
    iid: gitlabId,
    target_project_id: gitlabId,
    action: z.string().nullish(),
    oldrev: z.string().nullish(),
  }),
  changes: z.record(z.string(), z.unknown()).nullish(),
});
const note = z.object({
  object_attributes: z.object({ action: z.string().nullish() }),
  merge_request: z.object({ iid: gitlabId, target_project_id: gitlabId }).nullish(),
});
const pipeline = z.object({
  object_attributes: z.object({ sha: sha.nullish() }),
  project: z.object({ id: gitlabId }),
  commit: z.object({ id: sha }).nullish(),
  merge_request: z.object({ iid: gitlabId, target_project_id: gitlabId }).nullish(),
});
const job = z.object({ sha: sha.nullish(), project_id: gitlabId });
const kindOfEvent = z.object({ object_kind: z.string().nullish(), event_name: z.string().nullish() });

const TRIGGERS: Partial<Record<string, (payload: unknown) => JobTrigger[]>> = {
  push: ofPush,
  merge_request: ofMergeRequest,
  note: ofNote,
  pipeline: ofPipeline,
  build: ofJob,
};

/**
 * The jobs that an event of GitLab calls for; none of most kinds of events. An event only says that something is to be
 * looked at again: the job reads for itself how things are.
 * @throws Refusal where an event of a kind that matters is not as documented, naming the field
 */
export function triggersOf(payload: unknown): JobTrigger[] {
  const { object_kind, event_name } = narrow(kindOfEvent, payload, 'payload');
  const name = object_kind ?? event_name ?? '';
  return (Object.hasOwn(TRIGGERS, name) ? TRIGGERS[name]?.(payload) : undefined) ?? [];
}

const BRANCH_REF = 'refs/heads/';

/** A branch that was deleted is pushed too: a merge request of it cannot be merged any more. */
function ofPush(payload: unknown): JobTrigger[] {
  const { ref, project_id: gitlabProjectId, project } = narrow(push, payload, 'payload');
  if (!ref.startsWith(BRANCH_REF)) return [];
  const name = narrow(z.object({ ref: branchName }), { ref: ref.slice(BRANCH_REF.length) }, 'payload').ref;
  const triggers: JobTrigger[] = [
    { kind: 'recompute_mergeability', about: { what: 'branch', gitlabProjectId, name, as: 'head_or_base' } },
    // What was said of the old head, by statuses or approvals, may not hold for the new one.
    { kind: 'recompute_review_decision', about: { what: 'branch', gitlabProjectId, name, as: 'head' } },
  ];
  // GitLab does not name the default branch of a repository that was empty until now.
  if ((project?.default_branch ?? name) === name) {
    triggers.push({ kind: 'reindex_search', about: { what: 'repository', gitlabProjectId } });
  }
  return triggers;
}

const BOTH: readonly JobKind[] = ['recompute_mergeability', 'recompute_review_decision'];
const DECISION: readonly JobKind[] = ['recompute_review_decision'];

/** What can change in an update, and which job it matters to; the rest, such as labels, matters to none. */
const CHANGES: Partial<Record<string, readonly JobKind[]>> = {
  source_branch: BOTH,
  target_branch: BOTH,
  state_id: BOTH,
  state: BOTH,
  last_commit: BOTH,
  draft: ['recompute_mergeability'],
  // Before GitLab told of `draft`, it was all in the title.
  title: ['recompute_mergeability'],
  reviewers: DECISION,
  reviewer_ids: DECISION,
};

function ofMergeRequest(payload: unknown): JobTrigger[] {
  const { object_attributes, changes } = narrow(mergeRequest, payload, 'payload');
  const { iid, target_project_id: gitlabProjectId, action, oldrev } = object_attributes;
  const kinds = kindsOfAction(action ?? null, oldrev ?? null, Object.keys(changes ?? {}));
  return kinds.map((kind) => ({ kind, about: { what: 'merge_request', gitlabProjectId, iid } }));
}

function kindsOfAction(action: string | null, oldrev: string | null, changed: string[]): JobKind[] {
  switch (action) {
    case 'close':
    case 'merge':
      return []; // nothing is to be decided any more
    case 'approval':
    case 'approved':
    case 'unapproval':
    case 'unapproved':
      return [...DECISION];
    case 'update': {
      // The head was pushed. Where GitLab says nothing of what changed, anything may have.
      if (oldrev !== null || changed.length === 0) return [...BOTH];
      const called = changed.flatMap((field) => (Object.hasOwn(CHANGES, field) ? (CHANGES[field] ?? []) : []));
      return BOTH.filter((kind) => called.includes(kind));
    }
    default:
      return [...BOTH]; // opened, reopened, or what later versions tell of
  }
}

/** A review that is submitted, a request for changes among others, tells of its comments, and perhaps of nothing else. */
function ofNote(payload: unknown): JobTrigger[] {
  const { object_attributes, merge_request } = narrow(note, payload, 'payload');
  if (!merge_request || object_attributes.action === 'update') return [];
  return [{ kind: 'recompute_review_decision', about: aboutMergeRequest(merge_request) }];
}

/**
 * A pipeline of a merge request may be of the merge's commit, which is nobody's head: then only the merge request that is
 * named along with it leads there.
 */
function ofPipeline(payload: unknown): JobTrigger[] {
  const found = narrow(pipeline, payload, 'payload');
  const triggers = ofCommit(found.object_attributes.sha ?? found.commit?.id, found.project.id);
  if (found.merge_request) {
    triggers.push({ kind: 'recompute_review_decision', about: aboutMergeRequest(found.merge_request) });
  }
  return triggers;
}

function ofJob(payload: unknown): JobTrigger[] {
  const { sha, project_id } = narrow(job, payload, 'payload');
  return ofCommit(sha, project_id);
}

function ofCommit(sha: string | null | undefined, gitlabProjectId: number): JobTrigger[] {
  return sha ? [{ kind: 'recompute_review_decision', about: { what: 'commit', gitlabProjectId, sha } }] : [];
}

function aboutMergeRequest({ iid, target_project_id }: { iid: number; target_project_id: number }): Subject {
  return { what: 'merge_request', gitlabProjectId: target_project_id, iid };
}
