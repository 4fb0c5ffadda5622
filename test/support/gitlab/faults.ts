import type { Answer } from './answer.ts';
import type { LoggedRequest } from './request-log.ts';

/**
 * What goes wrong with a request. With those before the work GitLab has done nothing.
 * Before: `status`, `reset` (the connection is torn down), `hang` (no answer, until `clear()`), `html` (a login page
 * with 200), `instead` (any answer).
 * After: `statusAfterWork`, `lostAnswer` (torn down although the work is done), `hangAfterWork`, `truncated` (whole HTTP,
 * half the JSON), `brokenOff` (torn down in the middle of the body).
 * Besides: `slow` (ms, before the work) and `do` (before the work, or after it and before the answer).
 */
export type Fault =
  | 'reset'
  | 'hang'
  | 'html'
  | 'lostAnswer'
  | 'hangAfterWork'
  | 'truncated'
  | 'brokenOff'
  | { status: number; body?: unknown; headers?: Record<string, string> }
  | { instead: string; status?: number; contentType?: string }
  | { statusAfterWork: number; body?: unknown; headers?: Record<string, string> }
  | { slow: number }
  | { do: (request: LoggedRequest) => unknown; when: 'before' | 'after' };

export interface FaultRule {
  /** Any when absent. */
  method?: string;
  /** Matched with the path and query below `/api/v4`, such as `/projects/1001/hooks?per_page=100`. */
  path?: RegExp;
  /** The first matching request that it befalls, counted from 1 (the default) and from now on. */
  from?: number;
  /** How many requests it befalls from there; all when absent. */
  times?: number;
  fault: Fault;
}

export interface ActiveFault {
  /** How many requests it has befallen. */
  readonly hits: number;
  remove(): void;
}

interface Entry extends FaultRule {
  matched: number;
  hits: number;
}

export class Faults {
  #entries: Entry[] = [];
  #waiting = new Set<() => void>();

  add(rule: FaultRule): ActiveFault {
    const entry: Entry = { ...rule, matched: 0, hits: 0 };
    this.#entries.push(entry);
    return {
      get hits() {
        return entry.hits;
      },
      remove: () => {
        this.#entries = this.#entries.filter((other) => other !== entry);
      },
    };
  }

  /** Removes all of them, and lets go of the requests that hang. */
  clear(): void {
    this.#entries = [];
    for (const release of this.#waiting) release();
    this.#waiting = new Set();
  }

  /** Counts the request, and says what befalls it. */
  befalling(method: string, path: string): Fault[] {
    const faults: Fault[] = [];
    for (const entry of this.#entries) {
      if (entry.method !== undefined && entry.method !== method) continue;
      if (entry.path !== undefined && !entry.path.test(path)) continue;
      entry.matched++;
      const from = entry.from ?? 1;
      if (entry.matched < from || entry.matched >= from + (entry.times ?? Infinity)) continue;
      entry.hits++;
      faults.push(entry.fault);
    }
    return faults;
  }

  /** Settles with the next `clear()`. */
  async untilCleared(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}

/** What single sign-on before a GitLab answers to a client it does not know. */
export const LOGIN_PAGE: Answer = {
  status: 200,
  text: '<!DOCTYPE html><html><head><title>Sign in · GitLab</title></head><body><form action="/users/sign_in"></form></body></html>',
  headers: { 'Content-Type': 'text/html; charset=utf-8' },
};
