/**
 * Where a kind's activity runs: what needs a clone is bounded on a queue of its own, and so is what calls GitLab, so that
 * the one does not block the other, nor the bus.
 */
export type JobQueue = 'git' | 'gitlab';

/** What a job is about, which its payload names by our own id. */
export type JobSubject = 'mergeRequest' | 'repository';

/** What there is to know of a kind of job, besides the activity that does it. */
interface KindOfJob {
  /** One line, for people. */
  description: string;
  queue: JobQueue;
  about: JobSubject;
  /** 1 to 5, the lower the sooner: what people look at in the next minute goes before what takes long. */
  priority: 1 | 2 | 3 | 4 | 5;
}

/**
 * Every kind of job. Adding one takes an entry here, and an activity of its name.
 * The names are in histories and in other people's scripts: they stay. Workflows read this too, so it is plain data.
 */
export const JOB_KINDS = {
  recompute_mergeability: {
    description: 'Whether a merge request can be merged, from a trial merge of its branches',
    queue: 'git',
    about: 'mergeRequest',
    priority: 2,
  },
  recompute_review_decision: {
    description: "What a merge request's reviews and its head commit's statuses come to",
    queue: 'gitlab',
    about: 'mergeRequest',
    priority: 2,
  },
  reindex_search: {
    description: "The code search index of a repository, from its default branch's head",
    queue: 'git',
    about: 'repository',
    priority: 4,
  },
  sync_merge_requests: {
    description: 'The open merge requests of a repository and its default branch, as GitLab lists them',
    queue: 'gitlab',
    about: 'repository',
    priority: 3,
  },
} as const satisfies Record<string, KindOfJob>;

export type JobKind = keyof typeof JOB_KINDS;

export function isJobKind(name: string): name is JobKind {
  return Object.hasOwn(JOB_KINDS, name);
}
