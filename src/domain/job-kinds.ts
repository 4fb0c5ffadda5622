/**
 * Where a kind's activity runs: what needs a clone is bounded on a queue of its own, and so is what calls GitLab and what runs
 * other people's programs, so that the one does not block the other, nor the bus. What needs Postgres alone runs beside that.
 */
export type JobQueue = 'forgeflow' | 'git' | 'gitlab' | 'checks';

/** What a job is about, which its payload names by our own id; a group by its path. */
export type JobSubject = 'mergeRequest' | 'repository' | 'commit' | 'check' | 'coverage' | 'user' | 'group';

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
  initializeRepository: {
    description: 'The first commit of a repository that was added, and its branches',
    queue: 'git',
    about: 'repository',
    priority: 3,
  },
  processCommit: {
    description: 'A commit: cloned, its author linked, its manifest read and its checks begun',
    queue: 'git',
    about: 'commit',
    priority: 2,
  },
  runCheck: {
    description: "A check of a commit: a plugin's command on a clean checkout",
    queue: 'checks',
    about: 'check',
    priority: 3,
  },
  postCommitStatuses: {
    description: 'What GitLab shows of a commit: the statuses forgeflow and forgeflow/coverage',
    queue: 'gitlab',
    about: 'commit',
    priority: 2,
  },
  computeRepositoryCommitsSize: {
    description: "What a repository's commits take together",
    queue: 'forgeflow',
    about: 'repository',
    priority: 5,
  },
  processCoverage: {
    description: 'A coverage report, as soon as its commit is there',
    queue: 'git',
    about: 'coverage',
    priority: 3,
  },
  requestCacheEviction: {
    description: "The least recently used of a repository's cached artefacts, until the rest fits into the quota",
    queue: 'git',
    about: 'repository',
    priority: 5,
  },
  destroyRepository: {
    description: 'All of a repository that is gone: rows, clone, index, cache, webhook, jobs',
    queue: 'git',
    about: 'repository',
    priority: 2,
  },
  updateCommitsAuthor: {
    description: 'The commits of a user, by the emails that are theirs',
    queue: 'gitlab',
    about: 'user',
    priority: 4,
  },
  updateOrganizationRepositories: {
    description: "A group's repositories, with those of its subgroups, as GitLab lists them",
    queue: 'gitlab',
    about: 'group',
    priority: 4,
  },
  updateRepositoryPermissions: {
    description: 'Who may do what in a repository, as GitLab lists its members',
    queue: 'gitlab',
    about: 'repository',
    priority: 4,
  },
  updateUserPermissions: {
    description: 'What a user may do in each of our repositories',
    queue: 'gitlab',
    about: 'user',
    priority: 4,
  },
} as const satisfies Record<string, KindOfJob>;

export type JobKind = keyof typeof JOB_KINDS;

export function isJobKind(name: string): name is JobKind {
  return Object.hasOwn(JOB_KINDS, name);
}
