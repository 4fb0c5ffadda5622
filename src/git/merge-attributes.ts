import { mkdir, writeFile } from 'node:fs/promises';
import { readUnsized } from './blobs.ts';
import type { Clone } from './clone.ts';
import { type TreeEntry, treeEntries } from './tree.ts';

const NAME = Buffer.from('.gitattributes');
const SLASH = Buffer.from('/');
// git itself stops at 100 MB; what people write is never near this.
const LIMIT_BYTES = 1024 * 1024;

/**
 * Writes the `.gitattributes` of a commit, and nothing else of it, into a folder: they say how files merge (`-merge`,
 * `merge=union`, `binary`), and git reads them from the work tree of the branch that is merged into.
 */
export async function writeMergeAttributes(clone: Clone, commit: string, folder: string): Promise<void> {
  const entries = await attributeFiles(clone, commit);
  if (entries.length === 0) return; // as in most repositories; it spares a process
  for await (const { wanted, content } of readUnsized(clone, entries, { limitBytes: LIMIT_BYTES })) {
    if (content === null) continue;
    const path = Buffer.concat([Buffer.from(folder), SLASH, wanted.path]);
    try {
      await mkdir(path.subarray(0, path.lastIndexOf(SLASH)), { recursive: true });
      await writeFile(path, content, { flag: 'wx' });
    } catch (error) {
      // Nobody could check that path out either.
      if ((error as NodeJS.ErrnoException).code !== 'ENAMETOOLONG') throw error;
    }
  }
}

async function attributeFiles(clone: Clone, commit: string): Promise<TreeEntry[]> {
  const found: TreeEntry[] = [];
  for await (const entry of treeEntries(clone, commit, { sizes: false })) {
    const isFile = entry.kind === 'file' || entry.kind === 'executable'; // git follows no symlink to attributes
    if (isFile && isOfThatName(entry.path)) found.push(entry);
  }
  return found;
}

/** Never a path that leads out of the folder: what git would not check out is not written either. */
function isOfThatName(path: Buffer): boolean {
  if (!path.subarray(-NAME.length).equals(NAME)) return false;
  const parts = path.toString('latin1').split('/');
  return (
    parts.at(-1) === NAME.toString() && !parts.some((part) => ['', '.', '..'].includes(part) || /^\.git$/i.test(part))
  );
}
