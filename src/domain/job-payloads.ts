import { z } from 'zod';
import type { JobSubject } from './job-kinds.ts';

// Ours are `integer` in Postgres, which answers a larger one with an error that would look like an outage worth a retry.
const LARGEST_ID = 2_147_483_647;
const PROBLEM = `it is not a whole number from 1 to ${LARGEST_ID}`;

const id = z.number().min(1, PROBLEM).max(LARGEST_ID, PROBLEM).int();

/**
 * The payload of jobs by what they are about, which it names by our own id.
 * Strict: a field that is misspelt, or meant for another kind, is refused instead of being passed over.
 */
export const JOB_PAYLOADS = {
  mergeRequest: z.strictObject({ mergeRequestId: id }),
  repository: z.strictObject({ repositoryId: id }),
} as const satisfies Record<JobSubject, z.ZodObject>;
