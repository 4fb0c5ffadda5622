import { MANIFEST_FILE, ManifestError } from './manifest-error.ts';

/**
 * The text of a manifest, or of another file, without its byte order mark.
 * @throws ManifestError that says where the first byte stands that is no UTF-8: found by halves, since what is before it decodes
 */
export function decodeUtf8(bytes: Uint8Array, file = MANIFEST_FILE): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    let good = 0;
    let bad = bytes.length;
    while (bad - good > 1) {
      const middle = Math.floor((good + bad) / 2);
      if (decodes(bytes.subarray(0, middle))) good = middle;
      else bad = middle;
    }
    const before = new TextDecoder().decode(bytes.subarray(0, good), { stream: true }).split(/\n/);
    throw new ManifestError({
      line: before.length,
      column: (before.at(-1)?.length ?? 0) + 1,
      key: null,
      problem: 'the file is not text in UTF-8',
      file,
    });
  }
}

function decodes(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}
