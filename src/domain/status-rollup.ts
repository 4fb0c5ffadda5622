/** From the best to the worst. */
export const STATUS_STATES = ['expected', 'success', 'pending', 'failure', 'error'] as const;
export type StatusState = (typeof STATUS_STATES)[number];

/** One report of a check on a commit. */
export interface CommitStatus {
  /** What was checked: the name of a job or of an external service. Later reports of it replace earlier ones. */
  context: string;
  state: StatusState;
  /** What the reports of a context are ordered by: epoch ms, or an id of GitLab's, which grows with each new run of a job. */
  order: number;
}

/**
 * The worst of what the latest report of each context says; null without any report. History does not count: a failure
 * that a later run has made good is forgotten. Of two reports of one order the worse counts.
 */
export function rollUp(statuses: Iterable<CommitStatus>): StatusState | null {
  const latest = new Map<string, CommitStatus>();
  for (const status of statuses) {
    const known = latest.get(status.context);
    if (known && (known.order > status.order || (known.order === status.order && !isWorse(status, known)))) continue;
    latest.set(status.context, status);
  }
  let worst: CommitStatus | null = null;
  for (const status of latest.values()) if (worst === null || isWorse(status, worst)) worst = status;
  return worst?.state ?? null;
}

function isWorse(one: CommitStatus, other: CommitStatus): boolean {
  return STATUS_STATES.indexOf(one.state) > STATUS_STATES.indexOf(other.state);
}
