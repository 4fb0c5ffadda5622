import { randomInt } from 'node:crypto';
import { SIGN_BYTES, WORD_BYTES, WORD_LIMIT, WORD_STEP } from '../domain/search-words.ts';
import { PostingsWriter } from './search-postings.ts';

/** Short words are indexed by their trigrams. Long ones have many, and are hardly ever looked for; signs have none. */
export type WordKind = 'short' | 'long' | 'signs';

const WORD_KINDS: readonly WordKind[] = ['short', 'long', 'signs'];

/** Some words of a segment of the index: a row of `search_words`. */
export interface WordGroup {
  kind: WordKind;
  /** Each with a line feed before it, and one after the last. */
  words: Buffer;
  /** For each of them in turn; see `PostingsWriter`. */
  files: Buffer;
}

// What bounds the memory that a vocabulary takes: about 100 MB when it is full.
const MOST_WORDS = 300_000;
const MOST_ENTRIES = 8_000_000;
const MOST_BYTES = 12 * 1024 * 1024;

/** In bytes. */
const LONGEST_SHORT_WORD = 32;
// Few enough that a search reads little for one word, many enough that the trigrams they share are indexed once;
// and nearly all of them fit on a page.
const GROUP_WORDS = 256;
const GROUP_BYTES = 6 * 1024;

const LINE_FEED = 0x0a;
const NOTHING = -1;

// A word's record is four numbers and its bytes. All that is looked at to find a word again lies together: most of the time
// goes into waiting for memory.
const HASH = 0;
const LAST_FILE = 1;
const NUMBER = 2;
const LENGTH = 3;
const HEAD_BYTES = 16;
/** More than there are, see `SIGN_BYTES`. */
const SIGNS = 64;

/**
 * The different words of many files, and in which of them each is. Words are bytes in one buffer, found by a hash table of
 * plain numbers: a string for each would cost more than all the rest of indexing.
 */
export class Vocabulary {
  #bytes = new Uint8Array(64 * 1024);
  /** The same memory. */
  #numbers = new Int32Array(this.#bytes.buffer);
  /** Where the next record begins; records begin at multiples of 4. */
  #end = 0;
  /** By word: where its record is. */
  #records = new Int32Array(4096);
  #words = 0;
  /** Two numbers a place, a hash and where the record is; at least twice as many places as words. */
  #table = new Int32Array(16_384).fill(NOTHING);
  /** Words, each once for a file that has it, files one after the other. */
  #entries = new Int32Array(16_384);
  #entryCount = 0;
  /** Where the entries of a file begin, and which file it is. */
  #starts = new Int32Array(1024);
  #files = new Int32Array(1024);
  #fileCount = 0;
  /** By pair of signs: the last file that has it, so that most are done with at once. */
  readonly #signFiles = new Int32Array(SIGNS * SIGNS).fill(NOTHING);
  // Different in every vocabulary, so that nobody can write a file of words that all have one hash.
  readonly #factor = (randomInt(2 ** 31) * 2) | 0x01000193;

  get isEmpty(): boolean {
    return this.#words === 0;
  }

  /** More may be added, but it takes more memory than it should. */
  get isFull(): boolean {
    return this.#words >= MOST_WORDS || this.#entryCount >= MOST_ENTRIES || this.#end >= MOST_BYTES;
  }

  /** @param text folded but for ASCII, as UTF-8. @param file not less than that of the call before */
  addText(file: number, text: Uint8Array): void {
    this.#beginFile(file);
    const { length } = text;
    const factor = this.#factor;
    let from = 0;
    while (from < length) {
      const first = text[from] ?? 0;
      if (WORD_BYTES[first] === 0) {
        from += 1;
        const sign = SIGN_BYTES[first] ?? 0;
        if (sign !== 0) this.#addSign(file, sign, first, from < length ? (text[from] ?? 0) : 0);
        continue;
      }
      // The word is written where it stays if it is new.
      this.#makeRoom();
      const bytes = this.#bytes;
      const start = this.#end + HEAD_BYTES;
      const most = Math.min(length, from + WORD_LIMIT);
      let end = start;
      let hash = 0;
      let at = from;
      for (; at < most; at += 1) {
        const byte = WORD_BYTES[text[at] ?? 0] ?? 0;
        if (byte === 0) break;
        bytes[end++] = byte;
        hash = Math.imul(hash ^ byte, factor);
      }
      const isCut = at < length && WORD_BYTES[text[at] ?? 0] !== 0;
      if (!isCut) {
        this.#add(file, end - start, hash);
        from = at;
        continue;
      }
      const whole = characterStart(text, at) - from;
      this.#add(file, whole, this.#hash(whole));
      from = characterStart(text, from + WORD_STEP);
    }
  }

  /** A word that another vocabulary has. @param files ascending, none of them less than those it has for the word */
  addWord(word: Uint8Array, files: readonly number[]): void {
    for (const file of files) {
      this.#makeRoom();
      this.#bytes.set(word, this.#end + HEAD_BYTES);
      this.#beginFile(file);
      this.#add(file, word.length, this.#hash(word.length));
    }
  }

  /** All of it, in groups, in the order in which words came: those of a file are near one another, rare ones often alike. */
  *groups(): Generator<WordGroup> {
    const { starts, files } = this.#filesByWord();
    for (const kind of WORD_KINDS) {
      const postings = new PostingsWriter();
      let group: number[] = [];
      for (let word = 0; word < this.#words; word += 1) {
        if (this.#kind(word) !== kind) continue;
        postings.add(files, starts[word], starts[word + 1]);
        if (group.push(word) < GROUP_WORDS && postings.length < GROUP_BYTES) continue;
        yield { kind, words: this.#lines(group), files: postings.take() };
        group = [];
      }
      if (group.length > 0) yield { kind, words: this.#lines(group), files: postings.take() };
    }
  }

  /** A sign, and the pair of signs that it begins where the next byte is one. */
  #addSign(file: number, sign: number, byte: number, next: number): void {
    const pair = sign * SIGNS + (SIGN_BYTES[next] ?? 0);
    if (this.#signFiles[pair] === file) return;
    this.#signFiles[pair] = file;
    for (const length of pair % SIGNS === 0 ? [1] : [1, 2]) {
      this.#makeRoom();
      this.#bytes[this.#end + HEAD_BYTES] = byte;
      this.#bytes[this.#end + HEAD_BYTES + 1] = next;
      this.#add(file, length, this.#hash(length));
    }
  }

  #makeRoom(): void {
    if (this.#end + HEAD_BYTES + WORD_LIMIT <= this.#bytes.length) return;
    this.#bytes = grown(this.#bytes);
    this.#numbers = new Int32Array(this.#bytes.buffer);
  }

  #beginFile(file: number): void {
    if (this.#fileCount > 0 && this.#files[this.#fileCount - 1] === file) return;
    if (this.#fileCount === this.#files.length) {
      this.#files = grown(this.#files);
      this.#starts = grown(this.#starts);
    }
    this.#files[this.#fileCount] = file;
    this.#starts[this.#fileCount] = this.#entryCount;
    this.#fileCount += 1;
  }

  /** Of the bytes where the next record will be. */
  #hash(length: number): number {
    const start = this.#end + HEAD_BYTES;
    let hash = 0;
    for (let at = start; at < start + length; at += 1) hash = Math.imul(hash ^ (this.#bytes[at] ?? 0), this.#factor);
    return hash;
  }

  /** The word stands where the next record will be. */
  #add(file: number, length: number, wordHash: number): void {
    const hash = wordHash ^ (wordHash >>> 15);
    const table = this.#table;
    const mask = table.length - 1;
    let place = (hash << 1) & mask;
    for (;;) {
      const record = table[place + 1] ?? NOTHING;
      if (record === NOTHING) break;
      if (table[place] === hash && this.#isAt(record, length)) {
        const head = record >> 2;
        if (this.#numbers[head + LAST_FILE] === file) return;
        this.#numbers[head + LAST_FILE] = file;
        this.#enter(this.#numbers[head + NUMBER] ?? 0);
        return;
      }
      place = (place + 2) & mask;
    }
    table[place] = hash;
    table[place + 1] = this.#end;
    this.#enter(this.#keep(file, length, hash));
  }

  #enter(word: number): void {
    if (this.#entryCount === this.#entries.length) this.#entries = grown(this.#entries);
    this.#entries[this.#entryCount++] = word;
  }

  #isAt(record: number, length: number): boolean {
    if (this.#numbers[(record >> 2) + LENGTH] !== length) return false;
    const bytes = this.#bytes;
    let at = record + HEAD_BYTES;
    let other = this.#end + HEAD_BYTES;
    for (const end = at + length; at < end; at += 1, other += 1) if (bytes[at] !== bytes[other]) return false;
    return true;
  }

  /** @returns the number of the new word */
  #keep(file: number, length: number, hash: number): number {
    if (this.#words === this.#records.length) this.#records = grown(this.#records);
    const word = this.#words++;
    const head = this.#end >> 2;
    this.#records[word] = this.#end;
    this.#numbers[head + HASH] = hash;
    this.#numbers[head + LAST_FILE] = file;
    this.#numbers[head + NUMBER] = word;
    this.#numbers[head + LENGTH] = length;
    this.#end += HEAD_BYTES + ((length + 3) & ~3);
    if (this.#words * 4 > this.#table.length) this.#spread(this.#table.length * 4);
    return word;
  }

  #spread(length: number): void {
    const table = new Int32Array(length).fill(NOTHING);
    for (let word = 0; word < this.#words; word += 1) {
      const record = this.#records[word] ?? 0;
      const hash = this.#numbers[(record >> 2) + HASH] ?? 0;
      let place = (hash << 1) & (length - 1);
      while (table[place + 1] !== NOTHING) place = (place + 2) & (length - 1);
      table[place] = hash;
      table[place + 1] = record;
    }
    this.#table = table;
  }

  /** The files of each word, which stand in one list, those of word n from `starts[n]` on. */
  #filesByWord(): { starts: Int32Array; files: Int32Array } {
    const starts = new Int32Array(this.#words + 1);
    for (let at = 0; at < this.#entryCount; at += 1) add(starts, (this.#entries[at] ?? 0) + 1, 1);
    for (let word = 0; word < this.#words; word += 1) add(starts, word + 1, starts[word] ?? 0);
    const next = starts.slice();
    const files = new Int32Array(this.#entryCount);
    for (let file = 0; file < this.#fileCount; file += 1) {
      const end = file === this.#fileCount - 1 ? this.#entryCount : (this.#starts[file + 1] ?? 0);
      for (let at = this.#starts[file] ?? 0; at < end; at += 1) {
        const word = this.#entries[at] ?? 0;
        files[next[word] ?? 0] = this.#files[file] ?? 0;
        add(next, word, 1);
      }
    }
    return { starts, files };
  }

  #lines(words: readonly number[]): Buffer {
    const lines = Buffer.allocUnsafe(words.reduce((sum, word) => sum + this.#length(word) + 1, 1));
    let length = 0;
    for (const word of words) {
      lines[length++] = LINE_FEED;
      const start = (this.#records[word] ?? 0) + HEAD_BYTES;
      lines.set(this.#bytes.subarray(start, start + this.#length(word)), length);
      length += this.#length(word);
    }
    lines[length] = LINE_FEED;
    return lines;
  }

  #kind(word: number): WordKind {
    const first = this.#bytes[(this.#records[word] ?? 0) + HEAD_BYTES] ?? 0;
    if (WORD_BYTES[first] === 0) return 'signs';
    return this.#length(word) > LONGEST_SHORT_WORD ? 'long' : 'short';
  }

  #length(word: number): number {
    return this.#numbers[((this.#records[word] ?? 0) >> 2) + LENGTH] ?? 0;
  }
}

/** Where the character begins that this byte is of. */
function characterStart(text: Uint8Array, at: number): number {
  let start = at;
  while (((text[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return start;
}

function add(numbers: Int32Array, at: number, amount: number): void {
  numbers[at] = (numbers[at] ?? 0) + amount;
}

function grown<T extends Int32Array | Uint8Array>(array: T): T {
  const larger = new (array.constructor as new (length: number) => T)(array.length * 2);
  larger.set(array);
  return larger;
}
