import { type Clone, streamIn } from './clone.ts';
import { GitError } from './git-error.ts';
import { nulRecords } from './nul-records.ts';
import { withCommits } from './refs.ts';

/** What a path is. A symlink's blob is its target, a submodule's id a commit of another repository; neither is followed. */
export type EntryKind = 'file' | 'executable' | 'symlink' | 'submodule';

export interface Entry {
  kind: EntryKind;
  /** Of the blob; of a commit elsewhere where the kind is `submodule`. */
  id: string;
}

export interface TreeEntry extends Entry {
  /** As git has it: any bytes but NUL, newlines and invalid UTF-8 included. */
  path: Buffer;
  /** Null for a submodule, and where sizes were not asked for. */
  sizeBytes: number | null;
}

export interface TreeChange {
  path: Buffer;
  /** Null where the path is new. */
  before: Entry | null;
  /** Null where the path is gone. */
  after: Entry | null;
}

/**
 * All that is not a folder in a commit's tree, in git's order, as it is read.
 * @param sizes false where they do not matter: to look them all up takes longer than all the rest
 * @throws GitError
 */
export async function* treeEntries(clone: Clone, commit: string, { sizes = true } = {}): AsyncGenerator<TreeEntry> {
  const args = ['ls-tree', '-r', '-z', ...(sizes ? ['--long'] : []), '--full-tree', commit];
  yield* records(clone, [commit], args, async function* (parts) {
    for await (const record of parts) yield treeEntry(record);
  });
}

/**
 * What a commit's tree has by that name beside its folders; null where there is nothing. A folder has no size, as a submodule.
 * @throws GitError `not_found` where the commit is not there
 */
export async function rootEntry(clone: Clone, commit: string, name: string): Promise<TreeEntry | null> {
  const args = ['ls-tree', '-z', '--long', '--full-tree', commit, name];
  const found = records(clone, [commit], args, async function* (parts) {
    for await (const record of parts) yield treeEntry(record);
  });
  for await (const entry of found) return entry;
  return null;
}

/**
 * What differs between the trees of two commits, whatever lies between them; a file that moved is gone from one path
 * and new at another.
 * @throws GitError `not_found` where one of them is not there (any more)
 */
export async function* changedEntries(clone: Clone, from: string, to: string): AsyncGenerator<TreeChange> {
  const args = ['diff-tree', '-r', '-z', '--raw', '--no-abbrev', '--no-renames', '--ignore-submodules=none', from, to];
  yield* records(clone, [from, to], args, async function* (parts) {
    let change: Omit<TreeChange, 'path'> | null = null;
    for await (const part of parts) {
      if (change !== null) yield { path: part, ...change };
      change = change === null ? changeOf(part) : null;
    }
  });
}

async function* records<T>(
  clone: Clone,
  commits: readonly string[],
  args: readonly string[],
  parse: (parts: AsyncIterable<Buffer>) => AsyncIterable<T>,
): AsyncGenerator<T> {
  // A generator's end cannot be awaited beforehand, so what it throws is looked at when it comes.
  const stream = parse(nulRecords(streamIn(clone, args)))[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await withCommits(clone, commits, async () => stream.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await stream.return?.();
  }
}

// `<mode> SP <type> SP <id> [SP <size, padded on the left>] TAB <path>`
const TREE_ENTRY = /^(\d{6}) \w+ ([0-9a-f]+)(?: +(\d+|-))?$/;
const TAB = 0x09;

function treeEntry(record: Buffer): TreeEntry {
  const tab = record.indexOf(TAB);
  const [, mode = '', id = '', size = '-'] = TREE_ENTRY.exec(record.toString('latin1', 0, Math.max(tab, 0))) ?? [];
  if (id === '') throw new GitError('failed', 'git ls-tree: it printed something unknown');
  return { path: record.subarray(tab + 1), kind: kindOf(mode), id, sizeBytes: size === '-' ? null : Number(size) };
}

// `:<mode> SP <mode> SP <id> SP <id> SP <status>`, and the path after it
const CHANGE = /^:(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) [A-Z]\d*$/;
const NOTHING = '000000';

function changeOf(record: Buffer): Omit<TreeChange, 'path'> {
  const [, modeBefore = '', modeAfter = '', before = '', after = ''] = CHANGE.exec(record.toString('latin1')) ?? [];
  if (after === '') throw new GitError('failed', 'git diff-tree: it printed something unknown');
  return {
    before: modeBefore === NOTHING ? null : { kind: kindOf(modeBefore), id: before },
    after: modeAfter === NOTHING ? null : { kind: kindOf(modeAfter), id: after },
  };
}

function kindOf(mode: string): EntryKind {
  if (mode === '120000') return 'symlink';
  if (mode === '160000') return 'submodule';
  return mode === '100755' ? 'executable' : 'file';
}
