/** Deliveries that a batch has in hand, and how many of them it has had for long. */
export class InHand {
  #taken = 0;
  #left = 0;
  /** So many had been taken in all by then; the oldest first, of those that may still matter. */
  readonly #takings: { at: number; total: number }[] = [];

  take(deliveries: number): void {
    if (deliveries <= 0) return;
    this.#taken += deliveries;
    this.#takings.push({ at: performance.now(), total: this.#taken });
  }

  leave(deliveries: number): void {
    this.#left += deliveries;
  }

  get count(): number {
    return this.#taken - this.#left;
  }

  /** How many have been in hand for longer than that, in ms: at least so many, since those that left may have come later. */
  longerThan(ms: number): number {
    const before = performance.now() - ms;
    while ((this.#takings[1]?.at ?? Infinity) <= before) this.#takings.shift();
    const [oldest] = this.#takings;
    return oldest === undefined || oldest.at > before ? 0 : Math.max(oldest.total - this.#left, 0);
  }
}
