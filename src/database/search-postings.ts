/**
 * In which files words are: for each word, how many files, the first, and how far each next one is from the one before;
 * whole numbers of seven bits a byte, the lowest first, the eighth bit set where more follow.
 */
export class PostingsWriter {
  #bytes = Buffer.allocUnsafe(16 * 1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Files of one word. @param files in ascending order, from 0 on */
  add(files: ArrayLike<number>, from = 0, to = files.length): void {
    this.#number(to - from);
    let before = 0;
    for (let at = from; at < to; at += 1) {
      const file = files[at] ?? 0;
      this.#number(file - before);
      before = file;
    }
  }

  /** All since the last time. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }

  #number(value: number): void {
    if (this.#length + 5 > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], this.#bytes.length * 2);
    }
    let rest = value;
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }
}

/** Reads what `PostingsWriter` wrote, word after word. */
export class PostingsReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The files of the next word, in ascending order. */
  next(): number[] {
    const files: number[] = [];
    let file = 0;
    for (let count = this.#number(); count > 0; count -= 1) files.push((file += this.#number()));
    return files;
  }

  skip(): void {
    for (let count = this.#number(); count > 0; this.#at += 1) if ((this.#bytes[this.#at] ?? 0) < 0x80) count -= 1;
  }

  #number(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
}
