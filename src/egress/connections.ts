import type { Dispatcher } from 'undici';
import type { MakeDispatcher } from './dispatcher.ts';

/** A connection to a receiver, lent out for one request. */
export interface Connection {
  dispatcher: Dispatcher;
  /** Whether it has served before: the receiver may be closing it just now. */
  isUsed: boolean;
  /** Gives it back whole, for the next request to the same receiver. */
  giveBack(): void;
  /** Breaks it off, with whatever is under way on it. */
  hangUp(): void;
}

/** Shorter than any server waits for a next request, so that nearly never one is closed just as it is used again. */
const IDLE_MS = 1_000;
/** A receiver's new address is found by then, however busy the old one is. */
const LONGEST_LIFE_MS = 30_000;

interface Kept {
  dispatcher: Dispatcher;
  openedAt: number;
  idleSince: number;
}

/**
 * Connections that are used again while many requests go to one receiver: opening one costs more than all the rest of a request.
 * Each serves one request at a time, and is broken off as soon as anything is odd.
 */
export class Connections {
  readonly #open: MakeDispatcher;
  readonly #keeps: boolean;
  /** By origin; those used last are at the end. */
  readonly #idle = new Map<string, Kept[]>();
  #sweeping: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param options.keeps false: every request has a connection of its own */
  constructor(open: MakeDispatcher, { keeps }: { keeps: boolean }) {
    this.#open = open;
    this.#keeps = keeps;
  }

  /** @param options.fresh true: one that nobody has used */
  take(origin: string, { fresh = false } = {}): Connection {
    const kept = fresh ? undefined : this.#takeIdle(origin);
    const { dispatcher, openedAt } = kept ?? { dispatcher: this.#open(origin), openedAt: performance.now() };
    return {
      dispatcher,
      isUsed: kept !== undefined,
      giveBack: () => {
        this.#keep(origin, dispatcher, openedAt);
      },
      hangUp: () => {
        hangUp(dispatcher);
      },
    };
  }

  /** Breaks off those that nobody uses. Those lent out are broken off when they are given back. */
  close(): void {
    this.#closed = true;
    this.#sweep(Infinity);
  }

  #takeIdle(origin: string): Kept | undefined {
    const idle = this.#idle.get(origin);
    const kept = idle?.pop(); // the one used last, so that the others may be let go
    if (kept === undefined || !isTooOld(kept, performance.now())) return kept;
    hangUp(kept.dispatcher);
    return this.#takeIdle(origin);
  }

  #keep(origin: string, dispatcher: Dispatcher, openedAt: number): void {
    const kept = { dispatcher, openedAt, idleSince: performance.now() };
    if (!this.#keeps || this.#closed || isTooOld(kept, kept.idleSince)) {
      hangUp(dispatcher);
      return;
    }
    const idle = this.#idle.get(origin) ?? [];
    this.#idle.set(origin, idle);
    idle.push(kept);
    this.#sweeping ??= setTimeout(() => {
      this.#sweep(performance.now());
    }, IDLE_MS).unref();
  }

  #sweep(now: number): void {
    clearTimeout(this.#sweeping);
    this.#sweeping = undefined;
    for (const [origin, idle] of this.#idle) {
      const young = idle.filter((kept) => !isTooOld(kept, now));
      for (const kept of idle) if (!young.includes(kept)) hangUp(kept.dispatcher);
      if (young.length === 0) this.#idle.delete(origin);
      else this.#idle.set(origin, young);
    }
    if (this.#idle.size === 0) return;
    this.#sweeping = setTimeout(() => {
      this.#sweep(performance.now());
    }, IDLE_MS).unref();
  }
}

function isTooOld({ openedAt, idleSince }: Kept, now: number): boolean {
  return now - idleSince >= IDLE_MS || now - openedAt >= LONGEST_LIFE_MS;
}

function hangUp(dispatcher: Dispatcher): void {
  dispatcher.destroy().catch(() => undefined);
}
