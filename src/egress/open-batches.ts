import { type BatchedDelivery, BATCH_SIZE } from '../domain/first-attempts.ts';

/** Deliveries that come while a batch is under way. */
export interface Handed {
  deliveries: BatchedDelivery[];
  /** Of the subscriptions, when they were made: nothing older may be used for them. */
  version: string;
}

/** A batch of first attempts that is under way in this process, and takes more deliveries. */
export interface OpenBatch {
  /** Resolves when nothing more comes. */
  closed: Promise<void>;
  /** Takes nothing more, but for what has a place by now. */
  close: () => void;
}

/** Places of one batch. */
export interface Slot {
  batchId: string;
  places: number;
}

/** Places kept for deliveries that are just being written down: their batches do not close before they are released. */
export interface Reservation {
  slots: Slot[];
  hand(batchId: string, handed: Handed): void;
  /** Gives back those that were not taken. */
  release(): void;
}

interface Entry {
  id: string;
  free: number;
  reserved: number;
  isClosing: boolean;
  take: (handed: Handed) => void;
  closed: () => void;
}

/** So long a batch takes more, in ms. Above 4 s its workflow task would have to be renewed. */
const OPEN_FOR_MS = 3_000;
/** Unless nothing came for so long: it would only be waited for. */
const IDLE_MS = 200;
/** A batch that was started and has not opened by then, in ms, is another process'. */
const EXPECTED_WITHIN_MS = 1_000;

/**
 * Where the relay of a process and its batches meet. A delivery that comes while a batch is under way goes out with it at once,
 * without a word to Temporal; and so even a thin stream of deliveries fills its batches.
 */
export class OpenBatches {
  /** The oldest first. */
  readonly #open = new Set<Entry>();
  /** Started by this process, and not open yet. */
  readonly #expected = new Set<string>();
  /** Those who wait for a batch to open. */
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  /** @param take is told of the deliveries that are the batch's from now on */
  open(id: string, places: number, take: (handed: Handed) => void): OpenBatch {
    const takeMore = (handed: Handed): void => {
      idle.refresh();
      take(handed);
    };
    const entry: Entry = {
      id,
      free: places,
      reserved: 0,
      isClosing: this.#isClosed,
      take: takeMore,
      closed: () => undefined,
    };
    const closed = new Promise<void>((resolve) => (entry.closed = resolve));
    const close = (): void => {
      entry.isClosing = true;
      this.#settle(entry);
    };
    const idle = setTimeout(close, IDLE_MS);
    const timers = [idle, setTimeout(close, OPEN_FOR_MS)];
    void closed.then(() => {
      for (const timer of timers) clearTimeout(timer);
    });
    this.#expected.delete(id);
    this.#open.add(entry);
    this.#settle(entry);
    for (const wake of this.#waiting) wake();
    return { closed, close };
  }

  /** Keeps up to so many places, in the oldest batches first. */
  reserve(most: number): Reservation {
    const kept = new Map<string, { entry: Entry; left: number }>();
    let wanted = most;
    for (const entry of this.#open) {
      const places = entry.isClosing ? 0 : Math.min(entry.free, wanted);
      if (places === 0) continue;
      wanted -= places;
      entry.free -= places;
      entry.reserved += places;
      kept.set(entry.id, { entry, left: places });
    }
    return {
      slots: [...kept].map(([batchId, { left }]) => ({ batchId, places: left })),
      hand: (batchId, handed) => {
        const place = kept.get(batchId);
        if (place === undefined) return;
        place.left -= handed.deliveries.length;
        place.entry.reserved -= handed.deliveries.length;
        place.entry.take(handed);
      },
      release: () => {
        for (const { entry, left } of kept.values()) {
          entry.reserved -= left;
          entry.free += left;
          this.#settle(entry);
        }
        kept.clear();
      },
    };
  }

  /** Places that are free now, or will be in a moment. */
  get free(): number {
    const open = [...this.#open].filter(({ isClosing }) => !isClosing);
    return open.reduce((sum, { free }) => sum + free, this.#expected.size * BATCH_SIZE);
  }

  /** A batch without any delivery was started here. */
  expect(id: string): void {
    this.#expected.add(id);
    setTimeout(() => this.#expected.delete(id), EXPECTED_WITHIN_MS).unref();
  }

  /** Resolves when a batch opens, or after so many ms. */
  async nextOpening(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  /** From now on batches take only what they are started with. */
  close(): void {
    this.#isClosed = true;
    for (const entry of this.#open) {
      entry.isClosing = true;
      this.#settle(entry);
    }
  }

  #settle(entry: Entry): void {
    if (entry.reserved > 0 || (entry.free > 0 && !entry.isClosing)) return;
    this.#open.delete(entry);
    entry.closed();
  }
}
