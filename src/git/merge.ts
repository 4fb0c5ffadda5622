import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clone, streamIn } from './clone.ts';
import { mergeBase, type Sides } from './compare.ts';
import { GitError } from './git-error.ts';
import { writeMergeAttributes } from './merge-attributes.ts';
import { nulRecords } from './nul-records.ts';
import { isObjectId } from './object-id.ts';
import { withCommits } from './refs.ts';

export type TrialMerge =
  /** The id of the tree that the merge would have; the tree itself is not kept. */
  | { clean: true; tree: string }
  | {
      clean: false;
      reason: 'conflicts';
      /** Paths in git's order, as bytes, at most `CONFLICT_LIMIT` of them. */
      conflicts: Buffer[];
      conflictCount: number;
    }
  /** The branches have no commit in common; `git merge` refuses to merge them. */
  | { clean: false; reason: 'unrelated_histories'; conflicts: []; conflictCount: 0 }
  /** Git dies of a mistake of its own, as it would at `git merge`; 2.39 does where a renamed link meets a submodule. */
  | { clean: false; reason: 'git_bug'; conflicts: []; conflictCount: 0 };

export const CONFLICT_LIMIT = 1000;

/**
 * What `git merge <head>` would come to with `base` checked out: by merge-ort, with renames, and with the attributes of
 * the base's `.gitattributes`. Merge drivers other than git's own are unknown here, as to whoever has not installed
 * them, and a submodule that both sides moved is a conflict, as to whoever has not checked it out.
 * Nothing of it stays in the clone.
 * @throws GitError
 */
export async function trialMerge(clone: Clone, sides: Sides): Promise<TrialMerge> {
  if ((await mergeBase(clone, sides)) === null) {
    return { clean: false, reason: 'unrelated_histories', conflicts: [], conflictCount: 0 };
  }
  const folder = await mkdtemp(join(clone.git.temporaryDirectory, 'forgeflow-merge-'));
  try {
    const [workTree, objects] = [join(folder, 'tree'), join(folder, 'objects')];
    await mkdir(workTree);
    await mkdir(objects);
    await writeMergeAttributes(clone, sides.base, workTree);
    return await withCommits(clone, [sides.base, sides.head], () => mergeTrees(clone, sides, { workTree, objects }));
  } catch (error) {
    if (!(error instanceof GitError) || error.kind !== 'git_bug') throw error;
    return { clean: false, reason: 'git_bug', conflicts: [], conflictCount: 0 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const CONFLICTS = 1;
const TIMEOUT_MS = 10 * 60_000;

async function mergeTrees(
  clone: Clone,
  { base, head }: Sides,
  { workTree, objects }: { workTree: string; objects: string },
): Promise<TrialMerge> {
  // An exit code, not the list, tells whether there are conflicts: some belong to no one path.
  const exit = { code: CONFLICTS };
  const args = ['merge-tree', '--write-tree', '-z', '--name-only', '--no-messages', base, head];
  const output = streamIn(clone, args, {
    // Attributes are looked for here, and GIT_WORK_TREE says that this is no bare repository, in which they are not.
    cwd: workTree,
    variables: {
      GIT_WORK_TREE: workTree,
      GIT_OBJECT_DIRECTORY: objects,
      GIT_ALTERNATE_OBJECT_DIRECTORIES: JSON.stringify(join(clone.directory, 'objects')), // quoted: a colon would part it
    },
    timeoutMs: TIMEOUT_MS,
    accept: [0, CONFLICTS],
    onExit: (code) => {
      exit.code = code;
    },
  });
  let tree: string | null = null;
  const conflicts = new Map<string, Buffer>();
  let conflictCount = 0;
  for await (const part of nulRecords(output)) {
    if (tree === null) {
      tree = part.toString();
      continue;
    }
    const path = pathBeforeMerge(part, [base, head]);
    const key = path.toString('latin1');
    if (conflicts.has(key)) continue;
    conflictCount += 1;
    if (conflictCount <= CONFLICT_LIMIT) conflicts.set(key, path);
  }
  if (tree === null || !isObjectId(tree)) throw new GitError('failed', 'git merge-tree: it printed something unknown');
  if (exit.code === 0) return { clean: true, tree };
  return { clean: false, reason: 'conflicts', conflicts: [...conflicts.values()], conflictCount };
}

/** Where a file and a folder want the same path, merge-ort calls the file `path~<side>`, or `path~<side>_0`. */
function pathBeforeMerge(path: Buffer, sides: readonly string[]): Buffer {
  const name = path.toString('latin1');
  for (const side of sides) {
    const at = name.lastIndexOf(`~${side}`);
    if (at !== -1 && /^(_\d+)?$/.test(name.slice(at + 1 + side.length))) return path.subarray(0, at);
  }
  return path;
}
