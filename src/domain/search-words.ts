/**
 * What files are found by: the words of their folded text, in UTF-8. A word is an unbroken row of ASCII letters, digits and
 * `_`, and of all that is not ASCII. One that is longer than {@link WORD_LIMIT} bytes counts as several, of which each begins
 * {@link WORD_STEP} bytes after the one before or a little earlier, so that characters stay whole. Whatever of at most
 * {@link RUN_LIMIT} bytes is in a long word is then in one of these.
 *
 * Signs are what is left of ASCII but for white space. Each is a word, and so are each two that stand together.
 */
export const WORD_LIMIT = 64;
export const WORD_STEP = 32;
export const RUN_LIMIT = 28;

/** By byte of a text: 0 where it is in no word, else the byte in lower case. */
export const WORD_BYTES: Readonly<Uint8Array> = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return byte;
  const character = String.fromCharCode(byte);
  return /\w/.test(character) ? character.toLowerCase().charCodeAt(0) : 0;
});

const WHITE_SPACE = /[\t-\r ]/;

/** By byte of a text: 0 where it is no sign, else a number from 1 to 63. */
export const SIGN_BYTES: Readonly<Uint8Array> = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (!isSign(byte)) return 0;
  let before = 0;
  for (let other = 0; other < byte; other += 1) before += Number(isSign(other));
  return before + 1;
});

function isSign(byte: number): boolean {
  return byte > 0 && byte < 0x80 && WORD_BYTES[byte] === 0 && !WHITE_SPACE.test(String.fromCharCode(byte));
}

// The same for a text that is folded; everything from U+0080 on is written in bytes from 0x80 on.
const RUN = /[a-z0-9_\u0080-\uffff]+/g;

/**
 * Parts of a folded term such that each of them is in a word of every text that has the term, the longest first. None
 * where the term is made of other characters only.
 */
export function wordRuns(folded: string): string[] {
  const runs = [...new Set(Array.from(folded.matchAll(RUN), ([run]) => cut(run)))];
  runs.sort((a, b) => b.length - a.length);
  return runs.filter((run, at) => !runs.slice(0, at).some((longer) => longer.includes(run)));
}

function cut(run: string): string {
  let bytes = 0;
  let length = 0;
  for (const character of run) {
    bytes += Buffer.byteLength(character);
    if (bytes > RUN_LIMIT) break;
    length += character.length;
  }
  return run.slice(0, length);
}

/** Of a folded term the signs that are words in every text that has the term: two at a time where there are two. */
export function signRuns(folded: string): string[] {
  const pairs = new Set<string>();
  const single = new Set<string>();
  for (let at = 0; at < folded.length; at += 1) {
    if (!isSign(folded.charCodeAt(at))) continue;
    single.add(folded.charAt(at));
    if (isSign(folded.charCodeAt(at + 1))) pairs.add(folded.slice(at, at + 2));
  }
  return [...(pairs.size > 0 ? pairs : single)];
}
