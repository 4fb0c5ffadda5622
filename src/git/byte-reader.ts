const LINE_FEED = 0x0a;

/** Reads lines and counted bytes from a stream of chunks. It holds what was asked for and one chunk, not more. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next line, without its end; null at the end of the stream, also when that comes in mid-line. */
  async line(): Promise<string | null> {
    for (let searched = 0; ;) {
      const end = this.#rest.indexOf(LINE_FEED, searched);
      if (end !== -1) {
        const line = this.#rest.toString('latin1', 0, end);
        this.#rest = this.#rest.subarray(end + 1);
        return line;
      }
      searched = this.#rest.length;
      const more = await this.#next();
      if (more === null) return null;
      this.#rest = searched === 0 ? more : Buffer.concat([this.#rest, more]);
    }
  }

  /** That many bytes, in memory of their own; null where the stream ends before. */
  async bytes(length: number): Promise<Buffer | null> {
    const bytes = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    const isWhole = await this.#consume(length, (part) => {
      filled += part.copy(bytes, filled);
    });
    return isWhole ? bytes : null;
  }

  /** @returns whether there were that many */
  async skip(length: number): Promise<boolean> {
    return this.#consume(length, () => undefined);
  }

  async #consume(length: number, take: (part: Buffer) => void): Promise<boolean> {
    for (let missing = length; missing > 0;) {
      if (this.#rest.length === 0) {
        const more = await this.#next();
        if (more === null) return false;
        this.#rest = more;
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      take(part);
    }
    return true;
  }

  async #next(): Promise<Buffer | null> {
    const next = await this.#chunks.next();
    return next.done === true ? null : next.value;
  }
}
