import { z } from 'zod';
import { branchName } from '../domain/merge-request.ts';
import { GitlabBadAnswer } from './errors.ts';

/** Where a hook lives, by GitLab's own id. */
export interface GitlabOwner {
  kind: 'project' | 'group';
  gitlabId: number;
}

/** A project or group, by GitLab's id and its full path (`group/subgroup/name`) as it is now. */
export interface GitlabPlace {
  gitlabId: number;
  path: string;
}

// GitLab's ids are numbers, whatever its own API description says of some; safe below 2^53.
export const id = z.number().int().positive();

export const project = z
  .object({ id, path_with_namespace: z.string().min(1) })
  .transform((found): GitlabPlace => ({ gitlabId: found.id, path: found.path_with_namespace }));

/** What is to be known of a project besides where it is. */
export interface ProjectDetails extends GitlabPlace {
  /** Null where it has no commits, or where its code is hidden from us. */
  defaultBranch: string | null;
  /** It is read only. */
  isArchived: boolean;
  /** Whether its merge requests are switched on. */
  hasMergeRequests: boolean;
}

export const projectDetails = z
  .object({
    id,
    path_with_namespace: z.string().min(1),
    default_branch: z.string().nullish(),
    archived: z.boolean().nullish(),
    merge_requests_access_level: z.string().nullish(),
    /** Its older name. */
    merge_requests_enabled: z.boolean().nullish(),
  })
  .transform((found): ProjectDetails => {
    const isSwitchedOff = found.merge_requests_access_level === 'disabled' || found.merge_requests_enabled === false;
    return {
      gitlabId: found.id,
      path: found.path_with_namespace,
      // A name that git does not allow would be another thing in a command line of git.
      defaultBranch: branchName.safeParse(found.default_branch).data ?? null,
      isArchived: found.archived ?? false,
      hasMergeRequests: !isSwitchedOff,
    };
  });

export const group = z
  .object({ id, full_path: z.string().min(1) })
  .transform((found): GitlabPlace => ({ gitlabId: found.id, path: found.full_path }));

export const user = z.object({ id, username: z.string().min(1) });

export const member = z.object({ id, access_level: z.number().int() });

/**
 * Checks an answer at the border.
 * @param what for the error, such as `a list of hooks`
 * @throws GitlabBadAnswer that says where the answer is not as documented, not what stands there
 */
export function checked<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  const { path = [], message = '' } = result.error.issues[0] ?? {};
  const where = path.length === 0 ? 'the whole of it' : path.map(String).join('.');
  throw new GitlabBadAnswer(`GitLab's answer is not ${what}: ${where}: ${message}`);
}
