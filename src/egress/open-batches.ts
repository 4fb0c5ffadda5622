import { type BatchedDelivery, BATCH_SIZE } from '../domain/first-attempts.ts';
import { Flow } from './flow.ts';
import { InHand } from './in-hand.ts';

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
  /** So many of its deliveries are over, and written down: others may have their places. */
  leave: (places: number) => void;
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
  inHand: InHand;
  /** By the clock of the process, in ms. */
  endsAt: number;
  isClosing: boolean;
  take: (handed: Handed) => void;
  closed: () => void;
}

/** So long a batch takes more, in ms. Above 4 s its workflow task would have to be renewed. */
const OPEN_FOR_MS = 3_000;
/** So long before that its places do not count as free any more: time for another batch to be begun. */
const ENDING_MS = 500;
/** A batch ends when it had nothing in hand for so long: it would only be waited for. */
const IDLE_MS = 100;
/** Not counting places whose delivery has been in hand for so long: whoever does not answer is not to keep the others. */
const STUCK_MS = 250;
/** A batch that was started and has not opened by then, in ms, is another process'. */
const EXPECTED_WITHIN_MS = 1_000;
/** In a batch that has just opened, the first deliveries are over about by then, in ms. */
const OPENING_MS = 50;
/** So many places that come free in a second are worth waiting for one. */
const MANY_PLACES = 500;

export interface OpenBatchesOptions {
  /** Requests that this process makes at once, to all receivers. */
  requestsAtOnce?: number;
}

/**
 * Batches that are open at once. Some places are for deliveries that wait for their turn, or whose attempt is being written down;
 * with more of them nothing gets faster, and each batch costs a workflow.
 */
const batchesFor = (requestsAtOnce: number): number => 4 + Math.ceil(requestsAtOnce / BATCH_SIZE);

/**
 * Where the relay of a process and its batches meet. A delivery that comes while a batch is under way goes out with it at once,
 * without a word to Temporal. A place is free again when its delivery is over: so many deliveries, one after the other, cost one
 * workflow, which has no more of them in hand at once than a batch has places.
 */
export class OpenBatches {
  /** The newest last. */
  readonly #open = new Set<Entry>();
  /** Started by this process, and not open yet. */
  readonly #expected = new Map<string, { free: number }>();
  /** Those who wait for places. */
  readonly #waiting = new Set<() => void>();
  readonly #most: number;
  /** Places that come free. */
  readonly #freed = new Flow();
  /** When a batch opened last. */
  #openedAt = -Infinity;
  #isClosed = false;

  constructor({ requestsAtOnce = 0 }: OpenBatchesOptions = {}) {
    this.#most = batchesFor(requestsAtOnce);
  }

  /**
   * @param taken how many deliveries it begins with
   * @param take is told of the deliveries that are the batch's from now on
   */
  open(id: string, taken: number, take: (handed: Handed) => void): OpenBatch {
    const now = performance.now();
    const entry: Entry = {
      id,
      free: BATCH_SIZE - taken,
      reserved: 0,
      inHand: new InHand(),
      endsAt: now + OPEN_FOR_MS,
      isClosing: this.#isClosed,
      take,
      closed: () => undefined,
    };
    entry.inHand.take(taken);
    const closed = new Promise<void>((resolve) => (entry.closed = resolve));
    const close = (): void => {
      entry.isClosing = true;
      this.#settle(entry);
    };
    const idle = setTimeout(() => {
      if (entry.inHand.count <= 0) close();
    }, IDLE_MS);
    const end = setTimeout(close, OPEN_FOR_MS);
    void closed.then(() => {
      clearTimeout(idle);
      clearTimeout(end);
    });
    const leave = (places: number): void => {
      entry.free += places;
      entry.inHand.leave(places);
      this.#freed.pass(places);
      if (entry.inHand.count <= 0 && !entry.isClosing) idle.refresh();
      for (const look of this.#waiting) look();
    };
    this.#openedAt = now;
    this.#expected.delete(id);
    this.#open.add(entry);
    this.#settle(entry);
    for (const look of this.#waiting) look();
    return { closed, leave, close };
  }

  /** Keeps up to so many places, in the newest batches first: so those that are not needed any more end. */
  reserve(most: number): Reservation {
    const kept = new Map<string, { entry: Entry; left: number }>();
    let wanted = most;
    for (const entry of [...this.#open].reverse()) {
      const places = entry.isClosing ? 0 : Math.min(entry.free, wanted);
      if (places <= 0) continue;
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
        place.entry.inHand.take(handed.deliveries.length);
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

  /** Places that can be kept now. */
  get free(): number {
    return freePlaces([...this.#open].filter(({ isClosing }) => !isClosing));
  }

  /** Places that are free for a while, or will be in a moment. */
  get ahead(): number {
    return freePlaces([...this.#lasting(), ...this.#expected.values()]);
  }

  /** Whether batches open in this process at all: its workers may have other work. */
  get hasOpened(): boolean {
    return this.#openedAt !== -Infinity;
  }

  /** Whether places of this process come free all the time, or will in a moment. */
  get isMoving(): boolean {
    const isOpening = performance.now() - this.#openedAt < OPENING_MS || (this.hasOpened && this.#expected.size > 0);
    return isOpening || this.#freed.perSecond >= MANY_PLACES;
  }

  /** How many more are to be begun, at most. */
  get room(): number {
    const places = this.#lasting().map(({ free, inHand }) => free + inHand.count - inHand.longerThan(STUCK_MS));
    const used = Math.ceil(places.reduce((sum, count) => sum + count, 0) / BATCH_SIZE);
    return Math.max(this.#most - used - this.#expected.size, 0);
  }

  /** A batch with so many deliveries was started here. */
  expect(id: string, taken: number): void {
    this.#expected.set(id, { free: BATCH_SIZE - taken });
    setTimeout(() => this.#expected.delete(id), EXPECTED_WITHIN_MS).unref();
  }

  /** Resolves when so many places are free, or after so many ms. */
  async whenFree(places: number, ms: number): Promise<void> {
    if (this.free >= places) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (this.free >= places) end();
      };
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#waiting.add(look);
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

  #lasting(): Entry[] {
    const soon = performance.now() + ENDING_MS;
    return [...this.#open].filter(({ isClosing, endsAt }) => !isClosing && endsAt > soon);
  }

  #settle(entry: Entry): void {
    if (entry.reserved > 0 || !entry.isClosing) return;
    this.#open.delete(entry);
    entry.closed();
  }
}

function freePlaces(entries: { free: number }[]): number {
  return entries.reduce((sum, { free }) => sum + Math.max(free, 0), 0);
}
