import { z } from 'zod';

// Ours are `integer` in Postgres, which answers a larger one with an error that would look like an outage worth a retry.
const LARGEST_ID = 2_147_483_647;
const PROBLEM = `it is not a whole number from 1 to ${LARGEST_ID}`;

const id = z.number().min(1, PROBLEM).max(LARGEST_ID, PROBLEM).int();

// Strict: a field that is misspelt, or meant for another kind, is refused instead of being passed over.

/** By our own id. */
export const mergeRequestPayload = z.strictObject({ mergeRequestId: id });
/** By our own id. */
export const repositoryPayload = z.strictObject({ repositoryId: id });
