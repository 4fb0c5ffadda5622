/** How often a job is tried before it is dead. */
export const JOB_ATTEMPTS = 5;
/** The delay after the first failed attempt; it doubles with each one. */
export const JOB_FIRST_DELAY_MS = 2_000;
export const JOB_DELAY_FACTOR = 2;
export const JOB_LONGEST_DELAY_MS = 300_000;

/**
 * The delay after the n-th failed attempt (from 1) in ms, min(2^n, 300) s; null when it was the last and the job is dead.
 * A retry policy of Temporal with the constants above keeps the same delays.
 */
export function jobRetryDelay(attempt: number): number | null {
  if (attempt >= JOB_ATTEMPTS) return null;
  return Math.min(JOB_FIRST_DELAY_MS * JOB_DELAY_FACTOR ** (attempt - 1), JOB_LONGEST_DELAY_MS);
}
