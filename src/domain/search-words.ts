/**
 * What files are found by: the words of their folded text, in UTF-8. A word is an unbroken row of ASCII letters, digits and
 * `_`, and of all that is not ASCII. One that is longer than {@link WORD_LIMIT} bytes counts as several, of which each begins
 * {@link WORD_STEP} bytes after the one before or a little earlier, so that characters stay whole. Whatever of at most
 * {@link RUN_LIMIT} bytes is in a long word is then in one of these.
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
