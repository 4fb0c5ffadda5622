import { z } from 'zod';
import { branchName, gitlabId, sha } from './merge-request.ts';
import { narrow } from './narrow.ts';

/** A branch of a project, as an event of GitLab tells of it. */
export interface PushedBranch {
  gitlabProjectId: number;
  name: string;
  /** Null: it was deleted. */
  headSha: string | null;
}

const BRANCH_REF = 'refs/heads/';

const kind = z.object({ object_kind: z.string().nullish(), event_name: z.string().nullish() });
const push = z.object({ ref: z.string(), project_id: gitlabId, after: sha });

/**
 * The branch that an event tells of the push of; null where it tells of something else, as of a tag. Nothing but zeros for
 * a commit is git's way to say that there is none.
 * @throws Refusal that names the field which is not as documented
 */
export function pushedBranchOf(payload: unknown): PushedBranch | null {
  const { object_kind, event_name } = narrow(kind, payload, 'payload');
  if ((object_kind ?? event_name) !== 'push') return null;
  const { ref } = narrow(push.pick({ ref: true }), payload, 'payload');
  if (!ref.startsWith(BRANCH_REF)) return null;
  const { project_id: gitlabProjectId, after } = narrow(push, payload, 'payload');
  const { ref: name } = narrow(z.object({ ref: branchName }), { ref: ref.slice(BRANCH_REF.length) }, 'payload');
  return { gitlabProjectId, name, headSha: /^0+$/.test(after) ? null : after };
}
