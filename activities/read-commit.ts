import { type Manifest, parseManifest } from '../src/domain/manifest.ts';
import { ManifestError } from '../src/domain/manifest-error.ts';
import type { Clone } from '../src/git/clone.ts';
import { branchHeads } from '../src/git/commit-branches.ts';
import { type CommitDetails, commitDetails, commitSize } from '../src/git/commit-details.ts';
import { readManifestAt } from '../src/git/commit-manifest.ts';
import { hasCommit } from '../src/git/refs.ts';

/** What a clone says of a commit. */
export interface ReadCommit {
  details: CommitDetails;
  /** Of its files. */
  sizeBytes: number;
  /** Null: it has none; else what it says, or what is wrong with it. */
  manifest: Manifest | ManifestError | null;
}

/** @returns `found`: null where the clone does not have the commit @throws GitError */
export async function readCommit(
  clone: Clone,
  sha: string,
): Promise<{ heads: Map<string, string>; found: ReadCommit | null }> {
  const heads = await branchHeads(clone);
  if (!(await hasCommit(clone, sha))) return { heads, found: null };
  const found = {
    details: await commitDetails(clone, sha),
    sizeBytes: await commitSize(clone, sha),
    manifest: await manifestAt(clone, sha),
  };
  return { heads, found };
}

async function manifestAt(clone: Clone, sha: string): Promise<ReadCommit['manifest']> {
  try {
    const bytes = await readManifestAt(clone, sha);
    return bytes && parseManifest(bytes);
  } catch (error) {
    if (error instanceof ManifestError) return error;
    throw error;
  }
}
