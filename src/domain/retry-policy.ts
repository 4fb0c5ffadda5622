const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** How long a delivery is tried, in ms, counted from its first attempt. */
export const RETRY_WINDOW_MS = 24 * HOUR;
/** While less than this has passed since the first attempt, retries come quickly. */
export const QUICK_PHASE_MS = 1 * HOUR;
export const QUICK_DELAY_MS = 5 * MINUTE;
export const SLOW_DELAY_MS = 1 * HOUR;
/** A receiver may ask us to wait longer than the schedule does, but not for longer than this. */
export const RETRY_AFTER_LIMIT_MS = 1 * HOUR;

export interface RetryQuestion {
  /** When the window opened: the first attempt of the delivery, or of its redelivery. Epoch ms. */
  windowStartedAt: number;
  /** When the attempt that just failed was over. Epoch ms. */
  now: number;
  /** What the receiver's `Retry-After` asked for; null where it asked for nothing. */
  retryAfterMs: number | null;
}

/**
 * The delay before the next attempt in ms, or null when the window has closed and the delivery has failed for good.
 * Time decides, never a count: see the schedule of Launchpad's webhook deliveries.
 */
export function retryDelay({ windowStartedAt, now, retryAfterMs }: RetryQuestion): number | null {
  const elapsed = now - windowStartedAt;
  if (elapsed >= RETRY_WINDOW_MS) return null;
  const scheduled = elapsed < QUICK_PHASE_MS ? QUICK_DELAY_MS : SLOW_DELAY_MS;
  return Math.max(scheduled, Math.min(retryAfterMs ?? 0, RETRY_AFTER_LIMIT_MS));
}

/**
 * The wait a `Retry-After` header asks for, in ms from `now` (epoch ms); null where there is none or it makes no sense.
 * Both forms of RFC 9110 §10.2.3: delay-seconds and HTTP-date.
 */
export function parseRetryAfter(value: string | undefined, now: number): number | null {
  const text = value?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * SECOND;
  // Date.parse alone would take "5" or "-3" for a year; an HTTP-date begins with the day's name.
  if (!/^[A-Za-z]{3,9},? /.test(text)) return null;
  // Every form of HTTP-date is in GMT, but the oldest one does not say so, and Date.parse would take it for local time.
  const at = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

/** A delay in words for people, rounded to its two largest units: `5 min`, `1 h 5 min`, `0 s`. */
export function formatDelay(ms: number): string {
  const seconds = Math.round(ms / SECOND);
  const days = seconds < 2 * 86_400 ? 0 : Math.floor(seconds / 86_400); // "24 h" says more here than "1 d"
  const parts: [number, string][] = [
    [days, 'd'],
    [Math.floor((seconds - days * 86_400) / 3_600), 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const largest = parts.findIndex(([amount]) => amount > 0);
  if (largest === -1) return '0 s';
  return parts
    .slice(largest, largest + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}`)
    .join(' ');
}
