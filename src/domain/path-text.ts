/**
 * A path of a tree as text. Git's paths are bytes: one that is not UTF-8 is written as git itself quotes it (`"caf\351"`),
 * which no other path of that kind is written as; replacing what is wrong could make one of two paths.
 */
export function pathText(path: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(path);
  } catch {
    const quoted = Array.from(path, (byte) => {
      if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
      return byte < 0x20 || byte >= 0x7f ? `\\${byte.toString(8).padStart(3, '0')}` : String.fromCharCode(byte);
    });
    return `"${quoted.join('')}"`;
  }
}
