import { z } from 'zod';
import type { JobSubject } from './job-kinds.ts';

// Ours are `integer` in Postgres, which answers a larger one with an error that would look like an outage worth a retry.
const LARGEST_ID = 2_147_483_647;
const PROBLEM = `it is not a whole number from 1 to ${LARGEST_ID}`;

/** As `GITLAB_GROUP` has it; no longer than what an id of a workflow holds besides its kind. */
const group = z
  .string()
  .max(200, 'it has more than 200 characters')
  .regex(/^[^\s/?#'"`\\]+(\/[^\s/?#'"`\\]+)*$/, 'it is not the path of a group (acme/backend)');
const sha = z
  .string()
  .regex(/^(?!0+$)(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'it is not the whole id of a commit, in small letters');

const id = z.number().min(1, PROBLEM).max(LARGEST_ID, PROBLEM).int();

/**
 * The payload of jobs by what they are about, which it names by our own id.
 * Strict: a field that is misspelt, or meant for another kind, is refused instead of being passed over.
 */
export const JOB_PAYLOADS = {
  mergeRequest: z.strictObject({ mergeRequestId: id }),
  repository: z.strictObject({ repositoryId: id }),
  commit: z.strictObject({ commitId: id }),
  check: z.strictObject({ checkId: id }),
  /** The report by its id: it can be large, and is kept in Postgres. */
  coverage: z.strictObject({ repositoryId: id, sha, report: id }),
  user: z.strictObject({ userId: id }),
  group: z.strictObject({ group }),
} as const satisfies Record<JobSubject, z.ZodObject>;
