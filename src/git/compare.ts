import { type Clone, runIn } from './clone.ts';
import { GitError } from './git-error.ts';
import { emptyTreeLike } from './object-id.ts';
import { withCommits } from './refs.ts';

/** Ids of two commits: the branch that is merged into, and the one that would be merged. */
export interface Sides {
  base: string;
  head: string;
}

export interface AheadBehind {
  /** Commits that only the head has. */
  ahead: number;
  /** Commits that only the base has. */
  behind: number;
}

export interface DiffStatistics {
  files: number;
  /** Lines; binary files have none. */
  additions: number;
  deletions: number;
}

/** The best common ancestor; one of several where branches were merged crosswise; null where there is none. @throws GitError */
export async function mergeBase(clone: Clone, sides: Sides): Promise<string | null> {
  const { stdout } = await run(clone, sides, ['merge-base', sides.base, sides.head], [0, 1]);
  return stdout.trim() || null;
}

/** @throws GitError */
export async function aheadBehind(clone: Clone, sides: Sides): Promise<AheadBehind> {
  const args = ['rev-list', '--left-right', '--count', `${sides.base}...${sides.head}`];
  const { stdout } = await run(clone, sides, args);
  const [behind, ahead] = numbersIn(stdout, /^(\d+)\t(\d+)\n$/);
  return { ahead, behind };
}

/**
 * What the head changed since it left the base, a moved file being one; all that it has, where they have nothing in
 * common.
 * @throws GitError
 */
export async function diffStatistics(clone: Clone, sides: Sides): Promise<DiffStatistics> {
  const from = (await mergeBase(clone, sides)) ?? emptyTreeLike(sides.head);
  const how = ['-r', '-M', '--shortstat', '--no-ext-diff', '--no-textconv', '--ignore-submodules=none'];
  const { stdout } = await run(clone, sides, ['diff-tree', ...how, from, sides.head]);
  // Each part stands there only where there is something to count.
  const count = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1] ?? 0);
  return {
    files: count(/(\d+) files? changed/),
    additions: count(/(\d+) insertions?\(\+\)/),
    deletions: count(/(\d+) deletions?\(-\)/),
  };
}

/** Whether there are merges among the commits that only the head has. @throws GitError */
export async function hasMergeCommits(clone: Clone, sides: Sides): Promise<boolean> {
  const { stdout } = await run(clone, sides, ['rev-list', '--merges', '--max-count=1', sides.head, `^${sides.base}`]);
  return stdout !== '';
}

async function run(clone: Clone, { base, head }: Sides, args: string[], accept = [0]): Promise<{ stdout: string }> {
  const { stdout } = await withCommits(clone, [base, head], () => runIn(clone, args, { accept }));
  return { stdout: stdout.toString() };
}

function numbersIn(text: string, pattern: RegExp): [number, number] {
  const [, first, second] = pattern.exec(text) ?? [];
  if (first === undefined || second === undefined) throw new GitError('failed', 'git printed something unknown');
  return [Number(first), Number(second)];
}
