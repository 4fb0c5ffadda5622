/** Lines of a block. The marks of one are a number: the lower half says which are there, the upper half which of them ran. */
const BLOCK = 16;

/**
 * Which lines there are and whether they ran, as `LineHits` that keep no counts: a line that ran has 1. It takes a sixteenth of
 * the memory, and no more than those where the lines lie far apart.
 */
export class LineMarks extends Map<number, number> {
  readonly #blocks = new Map<number, number>();
  #size = 0;

  override get size(): number {
    return this.#size;
  }

  override get(number: number): number | undefined {
    const marks = (this.#blocks.get(Math.floor(number / BLOCK)) ?? 0) >>> (number % BLOCK);
    return (marks & 1) === 0 ? undefined : (marks >>> BLOCK) & 1;
  }

  override set(number: number, hits: number): this {
    const block = Math.floor(number / BLOCK);
    const known = this.#blocks.get(block) ?? 0;
    const there = 1 << (number % BLOCK);
    if ((known & there) === 0) this.#size++;
    const ran = there << BLOCK;
    this.#blocks.set(block, hits > 0 ? known | there | ran : (known | there) & ~ran);
    return this;
  }

  /** In no particular order. */
  override *[Symbol.iterator](): MapIterator<[number, number]> {
    for (const block of this.#blocks.keys()) {
      for (let number = block * BLOCK; number < (block + 1) * BLOCK; number++) {
        const hits = this.get(number);
        if (hits !== undefined) yield [number, hits];
      }
    }
  }

  override *values(): MapIterator<number> {
    for (const [, hits] of this) yield hits;
  }
}
