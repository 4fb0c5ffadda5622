import fc from 'fast-check';
import type { Item, NewCommit } from './git-repository.ts';

/** What one commit does to what it found. */
type Change =
  | { kind: 'edit'; path: number; line: number; text: string }
  | { kind: 'add'; path: number; text: string }
  | { kind: 'delete'; path: number }
  | { kind: 'rename'; path: number; to: number }
  | { kind: 'renameFolder'; from: number; to: number }
  | { kind: 'mode'; path: number }
  | { kind: 'symlink'; path: number; target: string }
  | { kind: 'submodule'; path: number; commit: string }
  | { kind: 'attributes'; folder: number; text: string };

interface Step {
  /** Counted back from the newest commit. */
  parent: number;
  /** Where there is one, the commit is a merge, crosswise perhaps. */
  second: number | null;
  /** Of which parents of a merge a path comes, one for each path in turn. */
  picks: boolean[];
  /** The two are merged the other way round as well. */
  crosswise: boolean;
  changes: Change[];
  isRoot: boolean;
}

export interface History {
  commits: Omit<NewCommit, 'ref'>[];
  /** Positions among the commits. */
  base: number;
  head: number;
}

type Tree = Record<string, Item>;

// Some are folders to others, so that a file comes to stand where a folder was, and the other way round.
const PATHS = [
  'a',
  'b',
  'c',
  'd',
  'd/e',
  'd/f',
  'd/f/g',
  'x',
  'x/a',
  'x/b',
  'y',
  'y/a',
  'y/b',
  'ü',
  'with\nline',
  'a/b',
];
const FOLDERS = ['d', 'x', 'y', 'z', 'd/f'];
const ATTRIBUTES = [
  '* -merge\n',
  'a merge=union\n',
  '*.x binary\nb merge=binary\n',
  '* text=auto\n',
  '[^a] merge=union\n',
];

const path = fc.nat(PATHS.length - 1);
const text = fc.constantFrom('A', 'B', 'C', 'D');
const hexadecimal = fc.constantFrom('1', '2', '3').map((digit) => digit.repeat(40));

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('edit' as const), path, line: fc.nat(11), text }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('add' as const), path, text }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), path }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('rename' as const), path, to: path }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('renameFolder' as const),
      from: fc.nat(FOLDERS.length - 1),
      to: fc.nat(FOLDERS.length - 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mode' as const), path }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('symlink' as const),
      path,
      target: fc.constantFrom('a', '../b', '/etc/passwd'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('submodule' as const), path, commit: hexadecimal }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('attributes' as const),
      folder: fc.nat(FOLDERS.length),
      text: fc.constantFrom(...ATTRIBUTES),
    }),
  },
);

const step: fc.Arbitrary<Step> = fc.record({
  parent: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.nat(4) }),
  second: fc.option(fc.nat(4), { freq: 2 }),
  picks: fc.array(fc.boolean(), { minLength: 3, maxLength: 8 }),
  crosswise: fc.boolean(),
  changes: fc.array(change, { minLength: 1, maxLength: 5 }),
  isRoot: fc.boolean().chain((once) => (once ? fc.nat(15).map((n) => n === 0) : fc.constant(false))),
});

const start = fc.array(fc.record({ path, text }), { minLength: 4, maxLength: 10 });

/** Random histories: branches, merges (crosswise too), and all that can happen to a path. */
export const histories: fc.Arbitrary<History> = fc
  .record({
    start,
    attributes: fc.option(fc.constantFrom(...ATTRIBUTES), { freq: 1 }),
    steps: fc.array(step, { minLength: 2, maxLength: 9 }),
    pick: fc.nat(1000),
    anyPick: fc.nat(9),
  })
  .map(({ start: files, attributes, steps, pick, anyPick }) => {
    const first: Tree = attributes === null ? {} : { '.gitattributes': attributes };
    for (const { path: at, text: content } of files) put(first, PATHS[at]!, fileOf(at, content));
    const commits: History['commits'] = [{ tree: first }];
    for (const one of steps) {
      const before = [...commits];
      commits.push(commitOf(one, before));
      if (one.second !== null && one.crosswise)
        commits.push(commitOf({ ...one, picks: one.picks.toReversed() }, before));
    }
    const [base, head] = sidesOf(commits, pick, anyPick === 0);
    return { commits, base, head };
  });

/** Two that have gone apart, where there are such, unless any two will do. */
function sidesOf(commits: History['commits'], pick: number, any: boolean): [base: number, head: number] {
  const pairs = commits.flatMap((_, base) => commits.map((__, head): [number, number] => [base, head]));
  const apart = pairs.filter(
    ([base, head]) => !ancestors(commits, base).has(head) && !ancestors(commits, head).has(base),
  );
  const among = any || apart.length === 0 ? pairs : apart;
  return among[among.length - 1 - (pick % among.length)]!;
}

/** All that leads to a commit, and itself, by position. */
export function ancestors(commits: History['commits'], of: number): Set<number> {
  const found = new Set<number>();
  const open = [of];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (found.has(at)) continue;
    found.add(at);
    open.push(...(commits[at]!.parents ?? []));
  }
  return found;
}

function commitOf(
  { parent, second, picks, changes, isRoot }: Step,
  before: History['commits'],
): Omit<NewCommit, 'ref'> {
  const back = (distance: number): number => Math.max(0, before.length - 1 - distance);
  const parents = isRoot ? [] : [...new Set([back(parent), ...(second === null ? [] : [back(second)])])];
  const trees = parents.map((at) => before[at]!.tree);
  const tree: Tree = {};
  const paths = [...new Set(trees.flatMap((one) => Object.keys(one)))].sort();
  for (const [at, name] of paths.entries()) {
    const picked = trees.length === 2 && picks[at % picks.length] === true ? trees[1]! : trees[0]!;
    const item = picked[name];
    if (item !== undefined) put(tree, name, item);
  }
  for (const one of changes) apply(one, tree);
  return { parents, tree };
}

function apply(one: Change, tree: Tree): void {
  if (one.kind === 'renameFolder') {
    const [from, to] = [`${FOLDERS[one.from]!}/`, `${FOLDERS[one.to]!}/`];
    for (const name of Object.keys(tree)) if (name.startsWith(from)) move(tree, name, to + name.slice(from.length));
    return;
  }
  if (one.kind === 'attributes') {
    const folder = FOLDERS[one.folder];
    put(tree, folder === undefined ? '.gitattributes' : `${folder}/.gitattributes`, one.text);
    return;
  }
  const name = PATHS[one.path]!;
  const found = tree[name];
  if (one.kind === 'add') put(tree, name, fileOf(one.path, one.text));
  else if (one.kind === 'symlink') put(tree, name, { mode: '120000', content: one.target });
  else if (one.kind === 'submodule') put(tree, name, { mode: '160000', commit: one.commit });
  else if (found === undefined) put(tree, name, fileOf(one.path, 'new'));
  else if (one.kind === 'delete') Reflect.deleteProperty(tree, name);
  else if (one.kind === 'rename') move(tree, name, PATHS[one.to]!);
  else if (one.kind === 'mode') toggleMode(tree, name, found);
  else edit(tree, name, found, one);
}

function move(tree: Tree, from: string, to: string): void {
  const item = tree[from];
  if (item === undefined || from === to) return;
  Reflect.deleteProperty(tree, from);
  put(tree, to, item);
}

function toggleMode(tree: Tree, name: string, item: Item): void {
  if (typeof item === 'string') tree[name] = { mode: '100755', content: item };
  else if ('mode' in item && item.mode === '100755') tree[name] = item.content;
}

function edit(tree: Tree, name: string, item: Item, { line, text: to }: { line: number; text: string }): void {
  const isPlain = typeof item === 'string';
  if (!isPlain && !('mode' in item && item.mode === '100755')) return;
  const lines = String(isPlain ? item : item.content).split('\n');
  lines[line % Math.max(1, lines.length - 1)] = `changed to ${to}`;
  const content = lines.join('\n');
  tree[name] = isPlain ? content : { ...item, content };
}

/** Whatever stands in the way goes: a file where a folder has to be, a folder where the file has to be. */
function put(tree: Tree, name: string, item: Item): void {
  for (const other of Object.keys(tree)) {
    if (other.startsWith(`${name}/`) || name.startsWith(`${other}/`)) Reflect.deleteProperty(tree, other);
  }
  tree[name] = item;
}

/** Long enough to be known again with a line or two changed; two paths begin alike, so that renames can be mistaken. */
function fileOf(path: number, content: string): string {
  const kind = path % 4;
  return Array.from({ length: 12 }, (_, line) => `line ${line} of kind ${line < 8 ? kind : path} ${content}\n`).join(
    '',
  );
}
