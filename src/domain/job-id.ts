import { invalid } from './refusal.ts';

/**
 * How long a workflow's id may be, in bytes of UTF-8. Temporal takes 1000, but where it keeps its data in Postgres or
 * MySQL its columns hold 255 characters, and a longer one fails there again and again instead of being refused.
 */
export const WORKFLOW_ID_LIMIT = 255;

/**
 * The id of a job's workflow, which is the job's id: two submissions with the same one are the same job while it is active.
 * A key is put under its kind, unless it stands there already, so that two kinds never share a job by the same key.
 * @param dedupeKey by `parseJob`, or the caller's own; null or empty: the job is folded into no other
 * @param id for a job without a key: unique, such as a UUID
 * @throws Refusal of a key that Temporal would not take, or that people could not read or type
 */
export function jobWorkflowId(kind: string, dedupeKey: string | null, id: string): string {
  if (dedupeKey === null || dedupeKey === '') return `${kind}/job/${id}`;
  // Ids stand in visibility queries, shell commands and addresses of the Web UI, where quotes and unseen characters do harm.
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(dedupeKey)) {
    throw invalid('dedupeKey', 'it has a control character, or another that cannot be seen');
  }
  if (/["'`\\]/.test(dedupeKey)) throw invalid('dedupeKey', 'it has a quote or a backslash');
  if (dedupeKey.trim() !== dedupeKey) throw invalid('dedupeKey', 'it begins or ends with white space');
  const prefix = `${kind}/`;
  const workflowId = dedupeKey.startsWith(prefix) ? dedupeKey : prefix + dedupeKey;
  const bytes = new TextEncoder().encode(workflowId).length;
  if (bytes > WORKFLOW_ID_LIMIT) {
    throw invalid('dedupeKey', `with its kind it has ${bytes} bytes; ${WORKFLOW_ID_LIMIT} at most`);
  }
  return workflowId;
}
