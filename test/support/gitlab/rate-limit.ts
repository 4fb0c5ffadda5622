import type { Answer } from './answer.ts';
import type { Clock } from './clock.ts';

export interface RateLimit {
  /** So many requests of one token in a window, which starts with its first request. (GitLab's start at full minutes.) */
  set(limit: { limit: number; windowMs?: number; headers?: 'always' | 'refused' | 'never' }): void;
  /**
   * From the `at`-th API request from now on every one is refused, until `forSeconds` have passed since the first that
   * was, or until `allow()`. `bare`: without any header that says when to come again.
   */
  refuse(refusing?: { at?: number; forSeconds?: number; bare?: boolean }): void;
  /** Ends both. */
  allow(): void;
  /** How many requests have been refused, ever. */
  readonly refused: number;
}

const NAME = 'throttle_authenticated_api';
const USUAL_LIMIT = 600;
const USUAL_WINDOW_MS = 60_000;

interface Window {
  startedAt: number;
  observed: number;
}
interface Refusing {
  /** How many requests still go through. */
  after: number;
  forMs: number | undefined;
  /** Epoch ms, known once the first was refused. */
  until: number | undefined;
  bare: boolean;
  observed: number;
}

/** Stands before the API: what it refuses has done nothing. */
export class RateLimiter implements RateLimit {
  refused = 0;
  readonly #clock: Clock;
  #limit: { limit: number; windowMs: number; headers: 'always' | 'refused' | 'never' } | undefined;
  #windows = new Map<string, Window>();
  #refusing: Refusing | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set({ limit, windowMs = USUAL_WINDOW_MS, headers = 'always' }: Parameters<RateLimit['set']>[0]): void {
    this.#limit = { limit, windowMs, headers };
    this.#windows = new Map();
  }

  refuse({ at = 1, forSeconds, bare = false }: Parameters<RateLimit['refuse']>[0] = {}): void {
    const forMs = forSeconds === undefined ? undefined : forSeconds * 1000;
    this.#refusing = { after: at - 1, forMs, until: undefined, bare, observed: 0 };
  }

  allow(): void {
    this.#limit = undefined;
    this.#refusing = undefined;
  }

  /**
   * Counts one request.
   * @param key whose it is
   * @returns the headers its answer gets, and the answer itself when it is refused
   */
  check(key: string): { headers: Record<string, string>; refusal?: Answer } {
    const outage = this.#checkRefusing();
    if (outage !== undefined) {
      this.refused++;
      return { headers: {}, refusal: outage };
    }
    if (this.#limit === undefined) return { headers: {} };
    const { limit, windowMs, headers: shown } = this.#limit;
    const window = this.#windowOf(key, windowMs);
    window.observed++;
    const headers = this.#headers({
      limit: Math.ceil((limit * 60_000) / windowMs),
      observed: window.observed,
      remaining: Math.max(limit - window.observed, 0),
      resetAt: window.startedAt + windowMs,
    });
    if (window.observed <= limit) return { headers: shown === 'always' ? headers : {} };
    this.refused++;
    return { headers: {}, refusal: shown === 'never' ? later({}) : later(this.#withRetryAfter(headers)) };
  }

  #checkRefusing(): Answer | undefined {
    const refusing = this.#refusing;
    if (refusing === undefined) return undefined;
    if (refusing.after > 0) {
      refusing.after--;
      return undefined;
    }
    const now = this.#clock.now();
    if (refusing.until === undefined && refusing.forMs !== undefined) refusing.until = now + refusing.forMs;
    if (refusing.until !== undefined && now >= refusing.until) {
      this.#refusing = undefined;
      return undefined;
    }
    refusing.observed++;
    if (refusing.bare) return later({});
    const limit = this.#limit?.limit ?? USUAL_LIMIT;
    const resetAt = refusing.until ?? now + USUAL_WINDOW_MS;
    const observed = limit + refusing.observed;
    return later(this.#withRetryAfter(this.#headers({ limit, observed, remaining: 0, resetAt })));
  }

  #windowOf(key: string, windowMs: number): Window {
    const now = this.#clock.now();
    const open = this.#windows.get(key);
    if (open !== undefined && now < open.startedAt + windowMs) return open;
    const window = { startedAt: now, observed: 0 };
    this.#windows.set(key, window);
    return window;
  }

  #headers(state: { limit: number; observed: number; remaining: number; resetAt: number }): Record<string, string> {
    const reset = Math.ceil(state.resetAt / 1000);
    return {
      'RateLimit-Name': NAME,
      'RateLimit-Limit': String(state.limit),
      'RateLimit-Observed': String(state.observed),
      'RateLimit-Remaining': String(state.remaining),
      'RateLimit-Reset': String(reset),
      'RateLimit-ResetTime': new Date(reset * 1000).toUTCString(),
    };
  }

  #withRetryAfter(headers: Record<string, string>): Record<string, string> {
    const seconds = Number(headers['RateLimit-Reset']) - Math.floor(this.#clock.now() / 1000);
    return { ...headers, 'Retry-After': String(Math.max(seconds, 1)) };
  }
}

const later = (headers: Record<string, string>): Answer => ({
  status: 429,
  text: 'Retry later\n',
  headers: { 'Content-Type': 'text/plain', ...headers },
});
