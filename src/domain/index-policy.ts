/** The most files of a repository that are indexed; of more, the first in the order of the tree. */
export const INDEXED_FILES_LIMIT = 20_000;
/** The largest file whose content is indexed, in bytes. */
export const INDEXED_CONTENT_LIMIT = 384 * 1024;

/** Why a file is indexed by its path only. */
export type PathOnlyReason = 'too_large' | 'binary' | 'lfs_pointer';

export type IndexedContent = { text: string } | { pathOnly: PathOnlyReason };

/**
 * What of a file's content is indexed. Invalid UTF-8 is replaced by U+FFFD; a byte order mark is left out.
 * Texts in UTF-16 have NUL bytes, and so are binary as `git grep` sees them.
 */
export function indexedContent(bytes: Uint8Array): IndexedContent {
  if (bytes.length > INDEXED_CONTENT_LIMIT) return { pathOnly: 'too_large' };
  if (bytes.includes(0)) return { pathOnly: 'binary' };
  const text = new TextDecoder().decode(bytes);
  return isLfsPointer(bytes.length, text) ? { pathOnly: 'lfs_pointer' } : { text };
}

const LFS_VERSION = /^version https:\/\/(git-lfs|hawser)\.github\.com\/spec\/v1\r?\n/;

/** By the specification of Git LFS: less than 1024 bytes, `version` first, then other keys in order, `oid` among them. */
function isLfsPointer(size: number, text: string): boolean {
  return size < 1024 && LFS_VERSION.test(text) && /^oid \w+:\w/m.test(text);
}
