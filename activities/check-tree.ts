import { CheckoutError, type CheckoutFile, writeCheckout } from '../src/checks/checkout.ts';
import { readBlobs, type SizedBlob } from '../src/git/blobs.ts';
import type { Clone } from '../src/git/clone.ts';
import { treeEntries } from '../src/git/tree.ts';

/** A larger file is left out: each is held in memory while it is written. */
const FILE_LIMIT = 100 * 1024 * 1024;
/** What a tree may take: a disk that is full would fail all that is done here. */
const TREE_LIMIT = 5 * 1024 * 1024 * 1024;

/** Writes the tree of a commit into the empty folder of a check. @throws CheckoutError where it cannot be laid out; GitError */
export async function checkOutTree(clone: Clone, sha: string, folder: string): Promise<void> {
  await writeCheckout(folder, filesOf(clone, sha), clone.signal);
}

async function* filesOf(clone: Clone, sha: string): AsyncGenerator<CheckoutFile> {
  for await (const { wanted, content } of readBlobs(clone, wantedOf(clone, sha), { limitBytes: FILE_LIMIT })) {
    yield { path: wanted.path, kind: wanted.kind, content };
  }
}

async function* wantedOf(clone: Clone, sha: string): AsyncGenerator<Omit<CheckoutFile, 'content'> & SizedBlob> {
  let bytes = 0;
  for await (const { path, kind, id, sizeBytes } of treeEntries(clone, sha)) {
    if (kind === 'submodule') continue;
    if (sizeBytes !== null && sizeBytes <= FILE_LIMIT) bytes += sizeBytes;
    if (bytes > TREE_LIMIT) throw new CheckoutError(`the tree has more than ${TREE_LIMIT} bytes`);
    yield { path, kind, id, sizeBytes: sizeBytes ?? 0 };
  }
}
