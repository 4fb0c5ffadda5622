/** How long is counted at a time, in ms. */
const SPAN_MS = 100;

/** How much passes, as of late. */
export class Flow {
  #since = -Infinity;
  #count = 0;
  /** Of the span before. */
  #perSecond = 0;

  pass(count: number): void {
    this.#turn();
    this.#count += count;
  }

  /** Over the last whole span, or the one that goes on where that was more. */
  get perSecond(): number {
    this.#turn();
    return Math.max(this.#perSecond, (this.#count * 1_000) / SPAN_MS);
  }

  #turn(): void {
    const passed = performance.now() - this.#since;
    if (passed < SPAN_MS) return;
    this.#perSecond = passed < 2 * SPAN_MS ? (this.#count * 1_000) / SPAN_MS : 0;
    this.#count = 0;
    this.#since = performance.now();
  }
}
