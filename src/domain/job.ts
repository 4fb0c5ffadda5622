import type { z } from 'zod';
import { isJobKind, JOB_KINDS, type JobKind } from './job-kinds.ts';
import { JOB_PAYLOADS } from './job-payloads.ts';
import { narrow } from './narrow.ts';
import { invalid } from './refusal.ts';

export type JobPayload<Kind extends JobKind = JobKind> = z.infer<
  (typeof JOB_PAYLOADS)[(typeof JOB_KINDS)[Kind]['about']]
>;

/** A job of a known kind with a payload that fits it. */
export type Job = {
  [Kind in JobKind]: {
    kind: Kind;
    payload: JobPayload<Kind>;
    /** Under which such jobs are folded into one: `reindex_search/repo/12`. */
    dedupeKey: string;
  };
}[JobKind];

/**
 * Checks a job as it was submitted.
 * @param payload JSON, read already; nothing, null and an empty text mean `{}`
 * @throws Refusal that names the field at fault: `kind` with those there are, else one of the payload, or `payload` itself.
 *   Trying such a job again is of no use.
 */
export function parseJob(kind: string, payload?: unknown): Job {
  if (!isJobKind(kind)) {
    const known = Object.keys(JOB_KINDS).join(', ');
    throw invalid('kind', `there is no ${JSON.stringify(kind.slice(0, 64))}; there are ${known}`);
  }
  const read = narrow<z.ZodType<JobPayload>>(
    JOB_PAYLOADS[JOB_KINDS[kind].about],
    payload === '' ? {} : (payload ?? {}),
    'payload',
  );
  return { kind, payload: read, dedupeKey: `${kind}/${subjectOf(read)}` } as Job;
}

/** What a job is about, as its dedupe key says it after the kind: `mr/7`. */
function subjectOf(payload: JobPayload): string {
  if ('mergeRequestId' in payload) return `mr/${payload.mergeRequestId}`;
  if ('commitId' in payload) return `commit/${payload.commitId}`;
  if ('checkId' in payload) return `check/${payload.checkId}`;
  if ('userId' in payload) return `user/${payload.userId}`;
  if ('group' in payload) return `group/${payload.group}`;
  return 'sha' in payload ? `repo/${payload.repositoryId}/${payload.sha}` : `repo/${payload.repositoryId}`;
}
