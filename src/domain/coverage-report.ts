import { invalid } from './refusal.ts';

/** `replaced` by a later one of the same commit; `dropped` since its commit did not come; `failed` at what it says. */
export const REPORT_STATES = ['held', 'processed', 'replaced', 'dropped', 'failed'] as const;
export type ReportState = (typeof REPORT_STATES)[number];

/** How long a report waits for its commit. */
export const REPORT_HOLD_MS = 2 * 60 * 60_000;

/**
 * Which commit a report is of, as its sender says.
 * @returns in small letters, as git has it
 * @throws Refusal of anything but the whole id of a commit
 */
export function checkSha(given: unknown): string {
  if (given === undefined || given === '') throw invalid('sha', 'it is missing; it says which commit the report is of');
  const sha = typeof given === 'string' ? given.toLowerCase() : '';
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(sha) || /^0+$/.test(sha))
    throw invalid('sha', 'it is not the whole id of a commit, 40 hexadecimal digits');
  return sha;
}

/** What the sender of a report is told. */
export interface AcceptedReport {
  reportId: number;
  sha: string;
  /** `held` until its commit comes; `queued` where that is there. */
  state: 'held' | 'queued';
  /** When it is dropped if its commit has not come, ISO 8601; null where that is there. */
  heldUntil: string | null;
}

export function acceptanceOf(stored: { id: number; sha: string; waitsUntil: Date | null }): AcceptedReport {
  const { id: reportId, sha, waitsUntil } = stored;
  return {
    reportId,
    sha,
    state: waitsUntil === null ? 'queued' : 'held',
    heldUntil: waitsUntil?.toISOString() ?? null,
  };
}

/**
 * When a report is dropped: two hours after it came, on the dot, if its commit has not come by then. A commit that came later
 * than that, while nobody looked, came too late as well.
 * @param knownSince when the commit came to be known; null: it has not
 */
export function comesTooLate(heldUntil: Date, { now, knownSince }: { now: number; knownSince: Date | null }): boolean {
  return knownSince === null ? now >= heldUntil.getTime() : knownSince > heldUntil;
}
