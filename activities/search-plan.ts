import { isUtf8 } from 'node:buffer';
import { type FileIdentity, type NewFile, pathKey } from '../src/database/search-files.ts';
import type { SearchUpdate } from '../src/database/search-update.ts';
import { INDEXED_CONTENT_LIMIT, INDEXED_FILES_LIMIT, indexedContent } from '../src/domain/index-policy.ts';
import { readBlobs, readUnsized } from '../src/git/blobs.ts';
import type { Clone } from '../src/git/clone.ts';
import { GitError } from '../src/git/git-error.ts';
import { changedEntries, type Entry, treeEntries } from '../src/git/tree.ts';

export interface ReindexPlan {
  /** Files to be indexed, the sizes of their blobs where they are known. */
  wanted: (NewFile & { sizeBytes: number | null })[];
  /** Numbers of files that are not as they were. */
  gone: number[];
  truncated: boolean;
}

export interface IndexedAnew {
  /** How many blobs were read from git. */
  read: number;
  removed: number;
}

type WantedFile = ReindexPlan['wanted'][number];

/** What there is to do. A file that moved is gone from one path and wanted at another. @throws GitError */
export async function planReindex(update: SearchUpdate, clone: Clone, commit: string): Promise<ReindexPlan> {
  // Which files of many are indexed depends on all that come before them in the tree.
  const from = update.truncated ? null : update.commit;
  return (from === null ? null : await planOfChanges(update, clone, from, commit)) ?? planOfTree(update, clone, commit);
}

/** By the difference of the two commits; null where that does not say enough. */
async function planOfChanges(
  update: SearchUpdate,
  clone: Clone,
  from: string,
  to: string,
): Promise<ReindexPlan | null> {
  const wanted: WantedFile[] = [];
  const paths: Buffer[] = [];
  let { files } = update;
  try {
    for await (const { path, before, after } of changedEntries(clone, from, to)) {
      files += Number(after !== null) - Number(before !== null);
      if (before !== null && after !== null && isSame(identityOf(before), identityOf(after))) continue;
      if (before !== null) paths.push(path);
      if (after !== null) wanted.push({ path, ...identityOf(after), sizeBytes: null });
      if (wanted.length > INDEXED_FILES_LIMIT) return null;
    }
  } catch (error) {
    // The commit went with a forced push.
    if (error instanceof GitError && error.kind === 'not_found') return null;
    throw error;
  }
  if (files > INDEXED_FILES_LIMIT) return null;
  const stored = await update.stored.at(paths);
  // Else the index is not what it says; there is no way to that but another hand in the tables.
  if (stored.size < paths.length) return null;
  return { wanted, gone: Array.from(stored.values(), ({ number }) => number), truncated: false };
}

/** By all of the tree and all that is stored. */
async function planOfTree(update: SearchUpdate, clone: Clone, commit: string): Promise<ReindexPlan> {
  const stored = await update.stored.at(null);
  const wanted: WantedFile[] = [];
  let files = 0;
  for await (const entry of treeEntries(clone, commit)) {
    files += 1;
    if (files > INDEXED_FILES_LIMIT) break;
    const key = pathKey(entry.path);
    const known = stored.get(key);
    const identity = identityOf(entry);
    if (known !== undefined && isSame(known, identity)) stored.delete(key);
    // A part of what git printed keeps all of it in memory.
    else wanted.push({ path: Buffer.from(entry.path), ...identity, sizeBytes: entry.sizeBytes });
  }
  return { wanted, gone: Array.from(stored.values(), ({ number }) => number), truncated: files > INDEXED_FILES_LIMIT };
}

/** Carries it out, but for the end. @throws GitError */
export async function indexedAnew(update: SearchUpdate, clone: Clone, plan: ReindexPlan): Promise<IndexedAnew> {
  // A file that moved is read where it was.
  const unread = update.files === 0 ? plan.wanted : await addKnown(update, plan.wanted);
  await update.remove(plan.gone);
  let read = 0;
  for await (const { wanted, content } of contentsOf(clone, await addOthers(update, unread))) {
    await update.add(wanted, content === null ? null : indexedText(content));
    read += Number(content !== null);
  }
  return { read, removed: plan.gone.length };
}

const CONTENTS_AT_ONCE = 32;

/** Adds those whose contents are indexed at another path, or were. @returns the others */
async function addKnown(update: SearchUpdate, wanted: readonly WantedFile[]): Promise<WantedFile[]> {
  const ids = wanted.flatMap(({ kind, objectId }) => (kind === 'file' ? objectId : []));
  const known = await update.stored.known(ids);
  const isKnown = ({ kind, objectId }: WantedFile): boolean => kind === 'file' && known.has(objectId);
  const found = wanted.filter(isKnown);
  for (let at = 0; at < found.length; at += CONTENTS_AT_ONCE) {
    const some = found.slice(at, at + CONTENTS_AT_ONCE);
    const contents = await update.stored.contentsOf(some.map(({ objectId }) => objectId));
    for (const file of some) await update.add(file, contents.get(file.objectId) ?? null);
  }
  return wanted.filter((file) => !isKnown(file));
}

/** Adds what is no file, by its path alone: neither a symlink nor a submodule is followed. @returns the files */
async function addOthers(update: SearchUpdate, wanted: readonly WantedFile[]): Promise<WantedFile[]> {
  for (const file of wanted) if (file.kind !== 'file') await update.add(file, null);
  return wanted.filter(({ kind }) => kind === 'file');
}

function contentsOf(clone: Clone, files: readonly WantedFile[]) {
  const sized = files.flatMap(({ sizeBytes, ...file }) =>
    sizeBytes === null ? [] : { ...file, id: file.objectId, sizeBytes },
  );
  const limit = { limitBytes: INDEXED_CONTENT_LIMIT };
  if (sized.length === files.length) return readBlobs(clone, sized, limit);
  return readUnsized(
    clone,
    files.map((file) => ({ ...file, id: file.objectId })),
    limit,
  );
}

/** No pointer of LFS is that large, see the policy. */
const NO_POINTER_BYTES = 1024;
const BYTE_ORDER_MARK = 0xef;

/** What the policy says of a content, in UTF-8; null: nothing. Most files are their own text, and need not be decoded. */
export function indexedText(bytes: Buffer): Uint8Array | null {
  if (bytes.includes(0)) return null;
  if (bytes.length >= NO_POINTER_BYTES && bytes[0] !== BYTE_ORDER_MARK && isUtf8(bytes)) return bytes;
  const content = indexedContent(bytes);
  return 'text' in content ? Buffer.from(content.text) : null;
}

function identityOf({ kind, id }: Entry): FileIdentity {
  return { kind: kind === 'executable' ? 'file' : kind, objectId: id };
}

function isSame(one: FileIdentity, other: FileIdentity): boolean {
  return one.kind === other.kind && one.objectId === other.objectId;
}
