import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenBatches } from '../egress/open-batches.ts';
import type { Dispatched } from './dispatch-events.ts';
import { EXPRESS } from './start-deliveries.ts';

/** Events dispatched at once. */
export const MOST_EVENTS = 200;
const FEWEST_EVENTS = 20;
/** So many free places are worth a transaction. */
const PLACES = 100;
/** How long they are waited for, and how often they are looked at, in ms. */
const HOLD_MS = 50;
const LOOK_MS = 5;
/** Events that have waited for so long, in ms, are not held any longer: others than those of the express lane are among them. */
const LATE_MS = 2_000;

/**
 * How many events are dispatched at once, and when. A delivery that finds no place in an open batch is written down twice more
 * before it goes out; so while more events come than go out, and places come free all the time, events wait for these.
 */
export class DispatchPace {
  readonly #openBatches: OpenBatches;
  readonly #holdMs: number;
  /** Places that an event needed, as far as the last ones tell. */
  #placesForEach = 0;
  /** Deliveries of the express lane that found none, and that nobody has looked at since. */
  #behind = 0;
  /** More of them wait than there were places, when somebody looked last. */
  #isShort = false;
  /** Whether more events wait, and not for long yet. */
  #isPressed = false;

  constructor(openBatches: OpenBatches, { holdMs = HOLD_MS } = {}) {
    this.#openBatches = openBatches;
    this.#holdMs = holdMs;
  }

  /** Resolves when the next events are to be dispatched, with how many these are at most. */
  async next(): Promise<number> {
    if (!this.#isPressed || this.#placesForEach === 0) return MOST_EVENTS;
    const until = performance.now() + this.#holdMs;
    while (this.#openBatches.isMoving && performance.now() < until) {
      if (!this.#areOvertaken && this.#openBatches.free >= PLACES) break;
      await sleep(LOOK_MS);
    }
    if (!this.#openBatches.isMoving) return MOST_EVENTS;
    const events = this.#areOvertaken ? 0 : Math.floor(this.#openBatches.free / this.#placesForEach);
    return Math.min(Math.max(events, FEWEST_EVENTS), MOST_EVENTS);
  }

  dispatched({ events, isFull, lateMs, express, handed }: Dispatched): void {
    this.#isPressed = isFull && lateMs < LATE_MS;
    if (events > 0) this.#placesForEach = express.deliveries / events;
    this.#behind += express.deliveries - handed;
  }

  /** Somebody looks at those that found no place. @returns what wants to be told whether there were enough places for them */
  looking(): (isShort: boolean) => void {
    const seen = this.#behind;
    return (isShort) => {
      this.#behind -= seen;
      this.#isShort = isShort;
    };
  }

  /** Whether deliveries would wait behind others even if there were places. */
  get #areOvertaken(): boolean {
    return this.#isShort || this.#behind > EXPRESS.overtaken;
  }
}
