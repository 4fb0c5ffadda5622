import { isAscii } from 'node:buffer';
import { foldCase } from './search-terms.ts';

/** Beyond so many, for each byte of the text, they are not worth looking at one by one. */
const MANY_RUNS = 1 / 64;

/**
 * The text in lower case as `foldCase` has it, but for ASCII, which is left as it is. Most texts have a few characters beyond
 * ASCII, none of which has a lower case of its own: those come back as they are.
 * @param text in UTF-8
 */
export function foldUtf8(text: Uint8Array): Uint8Array {
  if (isAscii(text)) return text;
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const folded: Uint8Array[] = [];
  let taken = 0;
  let runs = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    if ((bytes[at] ?? 0) < 0x80) continue;
    const start = at;
    while ((bytes[at] ?? 0) >= 0x80) at += 1;
    runs += 1;
    if (runs > 64 + bytes.length * MANY_RUNS) return Buffer.from(foldCase(bytes.toString()));
    const run = bytes.toString('utf8', start, at);
    const lower = foldCase(run);
    if (lower === run) continue;
    folded.push(bytes.subarray(taken, start), Buffer.from(lower));
    taken = at;
  }
  return taken === 0 ? text : Buffer.concat([...folded, bytes.subarray(taken)]);
}
