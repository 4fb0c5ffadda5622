import type { HookOutcome } from './hook-state.ts';

/** How many repositories are taken at once. */
export const PAGE_SIZE = 100;

/** Why a run ended before nothing was left to do. */
export type EndedEarly = 'rate_limited' | 'invalid_credentials';

/** What ends a run early. */
export interface Interruption {
  endedEarly: EndedEarly;
  /** From when on it makes sense to go on, ISO 8601; null where GitLab does not say, or where time does not help. */
  retryAt: string | null;
}

export type OutcomeCounts = Record<HookOutcome, number>;

/** What a run of the installer came to. */
export interface InstallResult {
  /** The first run id of its workflow. */
  runId: string;
  /** Hooks that were made. */
  installed: number;
  /** Hooks that were as they should be. */
  verified: number;
  /** Hooks that were there already, with our secret: an answer of GitLab's had been lost. */
  adopted: number;
  /** Hooks that were missing or not as they should be, and were put right. */
  repaired: number;
  /** Repositories and groups that are gone, or where our account has no right. */
  blocked: number;
  /** Those where something went wrong. */
  failed: number;
  /** Those that a group hook covers, whose own was removed. */
  covered: number;
  /** Those that are still to be done. */
  remaining: number;
  endedEarly: EndedEarly | null;
  retryAt: string | null;
}

/** What a listing of the repositories came to. */
export interface ListingResult {
  runId: string;
  /** Repositories that GitLab listed. */
  listed: number;
  /** Of these, those that were new. */
  added: number;
  endedEarly: EndedEarly | null;
  retryAt: string | null;
}
