import { MANIFEST_LIMIT } from '../domain/manifest.ts';
import { MANIFEST_FILE, ManifestError } from '../domain/manifest-error.ts';
import { readUnsized } from './blobs.ts';
import type { Clone } from './clone.ts';
import { rootEntry } from './tree.ts';

/**
 * The manifest of a commit, for `parseManifest`; null where it has none. One that is too large is not read, and a symlink not
 * followed: it could lead out of the repository.
 * @throws ManifestError where it is no file, or too large
 * @throws GitError `not_found` where the clone does not have the commit
 */
export async function readManifestAt(clone: Clone, sha: string): Promise<Buffer | null> {
  const entry = await rootEntry(clone, sha, MANIFEST_FILE);
  if (entry === null) return null;
  if (entry.kind === 'symlink') throw unusable('it is a symlink, which is not followed');
  if (entry.sizeBytes === null) throw unusable('it is a folder or a submodule, and has to be a file');
  for await (const { content } of readUnsized(clone, [entry], { limitBytes: MANIFEST_LIMIT })) {
    if (content !== null) return content;
  }
  throw unusable(`the file is ${entry.sizeBytes} bytes long; ${MANIFEST_LIMIT} (64 KiB) at most`);
}

function unusable(problem: string): ManifestError {
  return new ManifestError({ line: 1, column: 1, key: null, problem });
}
