/** The most files of a repository that are indexed; of more, the first in the order of the tree. */
export const INDEXED_FILES_LIMIT = 20_000;
/** The largest file whose content is indexed, in bytes. */
export const INDEXED_CONTENT_LIMIT = 384 * 1024;

export type TreeEntryKind = 'file' | 'symlink' | 'submodule';

/** Why a file is indexed by its path only. */
export type PathOnlyReason = 'symlink' | 'submodule' | 'too_large' | 'binary' | 'lfs_pointer';

export interface TreeEntry {
  kind: TreeEntryKind;
  /** In bytes; null for a submodule, which has no content in this repository. */
  size: number | null;
}

/**
 * The kind of an entry of a tree by its mode, as `git ls-tree` writes it. Old repositories hold files of modes that git does
 * not write any more (100664); those of an unknown type are treated as submodules are, so that nothing is read.
 */
export function entryKind(mode: string): TreeEntryKind {
  if (mode.startsWith('100')) return 'file';
  return mode === '120000' ? 'symlink' : 'submodule';
}

/**
 * Why the content of an entry is not even read; null when it is to be read. A symlink's content is the name of another
 * file, which may be outside of the tree, and a submodule's is in another repository: neither is followed.
 */
export function skipsContent({ kind, size }: TreeEntry): PathOnlyReason | null {
  if (kind !== 'file') return kind;
  return (size ?? 0) > INDEXED_CONTENT_LIMIT ? 'too_large' : null;
}

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

/** The files that are indexed of those given in the order of the tree, and whether there are more. */
export function limitFiles<T>(files: readonly T[]): { indexed: readonly T[]; truncated: boolean } {
  const truncated = files.length > INDEXED_FILES_LIMIT;
  return { indexed: truncated ? files.slice(0, INDEXED_FILES_LIMIT) : files, truncated };
}

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
