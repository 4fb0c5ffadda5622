import type { z } from 'zod';
import { mergeRequestPayload, repositoryPayload } from './job-payloads.ts';
import { narrow } from './narrow.ts';
import { invalid } from './refusal.ts';

/** Where a kind's activity runs: what needs a clone is bounded on a queue of its own, so that it blocks nothing else. */
export type JobQueue = 'forgeflow' | 'git';

/** What there is to know of a kind of job, besides the activity that does it. */
interface KindOfJob<Payload extends z.ZodObject> {
  /** One line, for people. */
  description: string;
  queue: JobQueue;
  payload: Payload;
  /** What the job is about, as its dedupe key says it after the kind: `mr/7`. */
  subject: (payload: z.infer<Payload>) => string;
}

function kind<Payload extends z.ZodObject>(one: KindOfJob<Payload>) {
  return {
    ...one,
    /** @throws Refusal that names the field at fault */
    read(given: unknown): { payload: z.infer<Payload>; subject: string } {
      const payload = narrow(one.payload, given, 'payload');
      return { payload, subject: one.subject(payload) };
    },
  };
}

/**
 * Every kind of job. Adding one takes an entry here, and an activity of its name.
 * The names are in histories and in other people's scripts: they stay.
 */
export const JOB_KINDS = {
  recompute_mergeability: kind({
    description: 'Whether a merge request can be merged, from a trial merge of its branches',
    queue: 'git',
    payload: mergeRequestPayload,
    subject: ({ mergeRequestId }) => `mr/${mergeRequestId}`,
  }),
  recompute_review_decision: kind({
    description: "What a merge request's reviews and its head commit's statuses come to",
    queue: 'forgeflow',
    payload: mergeRequestPayload,
    subject: ({ mergeRequestId }) => `mr/${mergeRequestId}`,
  }),
  reindex_search: kind({
    description: "The code search index of a repository, from its default branch's head",
    queue: 'git',
    payload: repositoryPayload,
    subject: ({ repositoryId }) => `repo/${repositoryId}`,
  }),
};

export type JobKind = keyof typeof JOB_KINDS;
export type JobPayload<Kind extends JobKind = JobKind> = z.infer<(typeof JOB_KINDS)[Kind]['payload']>;

/** A job of a known kind with a payload that fits it. */
export type Job = {
  [Kind in JobKind]: {
    kind: Kind;
    payload: JobPayload<Kind>;
    /** Under which such jobs are folded into one: `reindex_search/repo/12`. */
    dedupeKey: string;
  };
}[JobKind];

export function isJobKind(name: string): name is JobKind {
  return Object.hasOwn(JOB_KINDS, name);
}

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
  const { payload: read, subject } = JOB_KINDS[kind].read(payload === '' ? {} : (payload ?? {}));
  return { kind, payload: read, dedupeKey: `${kind}/${subject}` } as Job;
}
