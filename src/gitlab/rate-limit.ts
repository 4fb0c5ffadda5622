import type { Headers } from './answer.ts';

/** What GitLab says of the rate limit this token is under. */
export interface RateLimit {
  /** Requests in a window, which is a minute. */
  limit: number;
  remaining: number;
  /** When the window ends, by our own clock. */
  resetAt: Date;
}

const WINDOW_MS = 60_000;
// The Date header has whole seconds and the answer was under way; below this a difference of clocks is not one.
const CLOCK_TOLERANCE_MS = 5_000;

/**
 * Reads `RateLimit-Limit`, `-Remaining` and `-Reset`. GitLab.com sends them with every answer, other installations
 * (before 18) only with a 429.
 * @returns null where the answer does not state the limit
 */
export function rateLimitOf(headers: Headers, now = Date.now()): RateLimit | null {
  const limit = wholeNumber(headers['ratelimit-limit']);
  const remaining = wholeNumber(headers['ratelimit-remaining']);
  if (limit === null || remaining === null) return null;
  return { limit, remaining, resetAt: resetTime(headers, now) ?? new Date(now + WINDOW_MS) };
}

/**
 * When GitLab will take requests again: `Retry-After` (seconds or a date), else the end of the rate limit's window.
 * @returns null where the answer does not say
 */
export function retryTime(headers: Headers, now = Date.now()): Date | null {
  const seconds = wholeNumber(headers['retry-after']);
  if (seconds !== null) return validDate(now + seconds * 1000);
  return inOurTime(headers['retry-after'], headers, now) ?? resetTime(headers, now);
}

function resetTime(headers: Headers, now: number): Date | null {
  const epochSeconds = wholeNumber(headers['ratelimit-reset']);
  const text = epochSeconds === null ? headers['ratelimit-resettime'] : new Date(epochSeconds * 1000).toUTCString();
  return inOurTime(text, headers, now);
}

/** A moment by GitLab's clock, which its Date header shows, as one by ours. */
function inOurTime(text: string | undefined, headers: Headers, now: number): Date | null {
  const moment = Date.parse(text ?? '');
  const theirNow = Date.parse(headers['date'] ?? '');
  const difference = Number.isNaN(theirNow) ? 0 : now - theirNow;
  return validDate(moment + (Math.abs(difference) > CLOCK_TOLERANCE_MS ? difference : 0));
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,12}$/.test(text.trim()) ? Number(text) : null;
}

function validDate(ms: number): Date | null {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? null : date;
}
