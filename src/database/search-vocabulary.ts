import { randomInt } from 'node:crypto';
import { WORD_BYTES, WORD_LIMIT, WORD_STEP } from '../domain/search-words.ts';
import { PostingsWriter } from './search-postings.ts';

/** Some words of a segment of the index: a row of `search_words`. */
export interface WordGroup {
  isLong: boolean;
  /** Each with a line feed before it, and one after the last. */
  words: Buffer;
  /** For each of them in turn; see `PostingsWriter`. */
  files: Buffer;
}

// What bounds the memory that a vocabulary takes: about 40 MB when it is full.
const MOST_WORDS = 250_000;
const MOST_ENTRIES = 2_000_000;
const MOST_BYTES = 6 * 1024 * 1024;

/** Longer words, in bytes, are in groups of their own. */
const LONG_WORD = 32;
// Few enough that a search reads little for one word, many enough that the trigrams they share are indexed once;
// and nearly all of them fit on a page.
const GROUP_WORDS = 128;
const GROUP_BYTES = 4 * 1024;

const LINE_FEED = 0x0a;
const NONE = -1;

/**
 * The different words of many files, and in which of them each is. Words are kept as bytes in one buffer and found by a hash
 * table of plain numbers: a string for each would cost more than all the rest of indexing.
 */
export class Vocabulary {
  #text = new Uint8Array(64 * 1024);
  #textLength = 0;
  /** By word: where its bytes end; they begin where the last one's end. */
  #ends = new Int32Array(4096);
  #hashes = new Int32Array(4096);
  /** By word: the last file that has it. */
  #lastFiles = new Int32Array(4096).fill(NONE);
  #words = 0;
  /** Of at least twice as many places as words. */
  #slots = new Int32Array(8192).fill(NONE);
  /** In the order they came: a word and a file that has it. */
  #entryWords = new Int32Array(16_384);
  #entryFiles = new Int32Array(16_384);
  #entries = 0;
  // Different in every vocabulary, so that nobody can write a file of words that all have one hash.
  readonly #factor = (randomInt(2 ** 31) * 2) | 0x01000193;

  get isEmpty(): boolean {
    return this.#words === 0;
  }

  /** More may be added, but it takes more memory than it should. */
  get isFull(): boolean {
    return this.#words >= MOST_WORDS || this.#entries >= MOST_ENTRIES || this.#textLength >= MOST_BYTES;
  }

  /** @param text folded but for ASCII, as UTF-8. @param file not less than that of the call before */
  addText(file: number, text: Uint8Array): void {
    const { length } = text;
    let from = 0;
    while (from < length) {
      if (WORD_BYTES[text[from] ?? 0] === 0) {
        from += 1;
        continue;
      }
      // The word is written where it stays if it is new.
      if (this.#textLength + WORD_LIMIT > this.#text.length) this.#text = grown(this.#text);
      const target = this.#text;
      const start = this.#textLength;
      let end = start;
      let hash = 0;
      let at = from;
      for (; at < length && end - start < WORD_LIMIT; at += 1) {
        const byte = WORD_BYTES[text[at] ?? 0] ?? 0;
        if (byte === 0) break;
        target[end++] = byte;
        hash = Math.imul(hash ^ byte, this.#factor);
      }
      const isCut = at < length && WORD_BYTES[text[at] ?? 0] !== 0;
      if (!isCut) {
        this.#add(file, end, hash);
        from = at;
        continue;
      }
      const whole = characterStart(text, at) - from;
      this.#add(file, start + whole, this.#hash(start, start + whole));
      from = characterStart(text, from + WORD_STEP);
    }
  }

  /** A word that another vocabulary has. @param files ascending, none of them less than those it has for the word */
  addWord(word: Uint8Array, files: readonly number[]): void {
    for (const file of files) {
      if (this.#textLength + WORD_LIMIT > this.#text.length) this.#text = grown(this.#text);
      this.#text.set(word, this.#textLength);
      const end = this.#textLength + word.length;
      this.#add(file, end, this.#hash(this.#textLength, end));
    }
  }

  /** All of it, in groups, in the order in which words came: those of a file are near one another, rare ones often alike. */
  *groups(): Generator<WordGroup> {
    const { starts, files } = this.#filesByWord();
    for (const isLong of [false, true]) {
      const postings = new PostingsWriter();
      let group: number[] = [];
      for (let word = 0; word < this.#words; word += 1) {
        if (this.#length(word) > LONG_WORD !== isLong) continue;
        postings.add(files, starts[word], starts[word + 1]);
        if (group.push(word) < GROUP_WORDS && postings.length < GROUP_BYTES) continue;
        yield { isLong, words: this.#lines(group), files: postings.take() };
        group = [];
      }
      if (group.length > 0) yield { isLong, words: this.#lines(group), files: postings.take() };
    }
  }

  #hash(start: number, end: number): number {
    let hash = 0;
    for (let at = start; at < end; at += 1) hash = Math.imul(hash ^ (this.#text[at] ?? 0), this.#factor);
    return hash;
  }

  /** The word stands at the end of the text, up to there. */
  #add(file: number, end: number, wordHash: number): void {
    const start = this.#textLength;
    const hash = wordHash ^ (wordHash >>> 15);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    let word = this.#slots[slot] ?? NONE;
    while (word !== NONE && !(this.#hashes[word] === hash && this.#isWord(word, start, end))) {
      slot = (slot + 1) & mask;
      word = this.#slots[slot] ?? NONE;
    }
    if (word === NONE) {
      word = this.#newWord(slot, end, hash);
    } else if (this.#lastFiles[word] === file) {
      return;
    }
    this.#lastFiles[word] = file;
    if (this.#entries === this.#entryWords.length) {
      this.#entryWords = grown(this.#entryWords);
      this.#entryFiles = grown(this.#entryFiles);
    }
    this.#entryWords[this.#entries] = word;
    this.#entryFiles[this.#entries] = file;
    this.#entries += 1;
  }

  #isWord(word: number, start: number, end: number): boolean {
    const text = this.#text;
    if (this.#length(word) !== end - start) return false;
    let at = (this.#ends[word] ?? 0) - (end - start);
    for (let other = start; other < end; other += 1, at += 1) if (text[at] !== text[other]) return false;
    return true;
  }

  #newWord(slot: number, end: number, hash: number): number {
    if (this.#words === this.#ends.length) {
      this.#ends = grown(this.#ends);
      this.#hashes = grown(this.#hashes);
      this.#lastFiles = grown(this.#lastFiles);
    }
    const word = this.#words;
    this.#words += 1;
    this.#ends[word] = end;
    this.#hashes[word] = hash;
    this.#textLength = end;
    this.#slots[slot] = word;
    if (this.#words * 2 > this.#slots.length) this.#makeSlots(this.#slots.length * 4);
    return word;
  }

  #makeSlots(length: number): void {
    this.#slots = new Int32Array(length).fill(NONE);
    for (let word = 0; word < this.#words; word += 1) {
      let slot = (this.#hashes[word] ?? 0) & (length - 1);
      while (this.#slots[slot] !== NONE) slot = (slot + 1) & (length - 1);
      this.#slots[slot] = word;
    }
  }

  /** The files of each word, which stand in one list, those of word n from `starts[n]` on. */
  #filesByWord(): { starts: Int32Array; files: Int32Array } {
    const counts = new Int32Array(this.#words);
    for (let at = 0; at < this.#entries; at += 1) add(counts, this.#entryWords[at] ?? 0, 1);
    const starts = new Int32Array(this.#words + 1);
    for (let word = 0; word < this.#words; word += 1) starts[word + 1] = (starts[word] ?? 0) + (counts[word] ?? 0);
    const next = starts.slice();
    const files = new Int32Array(this.#entries);
    for (let at = 0; at < this.#entries; at += 1) {
      const word = this.#entryWords[at] ?? 0;
      files[next[word] ?? 0] = this.#entryFiles[at] ?? 0;
      add(next, word, 1);
    }
    return { starts, files };
  }

  #lines(words: readonly number[]): Buffer {
    const lines = Buffer.allocUnsafe(words.reduce((sum, word) => sum + this.#length(word) + 1, 1));
    let length = 0;
    for (const word of words) {
      lines[length++] = LINE_FEED;
      const end = this.#ends[word] ?? 0;
      for (let at = end - this.#length(word); at < end; at += 1) lines[length++] = this.#text[at] ?? 0;
    }
    lines[length] = LINE_FEED;
    return lines;
  }

  #length(word: number): number {
    return (this.#ends[word] ?? 0) - (word === 0 ? 0 : (this.#ends[word - 1] ?? 0));
  }
}

/** Where the character begins that this byte is of. */
function characterStart(text: Uint8Array, at: number): number {
  let start = at;
  while (((text[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return start;
}

function grown<T extends Int32Array | Uint8Array>(array: T): T {
  const larger = new (array.constructor as new (length: number) => T)(array.length * 2);
  larger.set(array);
  return larger;
}

function add(numbers: Int32Array, at: number, amount: number): void {
  numbers[at] = (numbers[at] ?? 0) + amount;
}
