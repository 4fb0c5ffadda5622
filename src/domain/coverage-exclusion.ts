import { braceExpand, Minimatch, type MinimatchOptions } from 'minimatch';

/** How many patterns one with braces may stand for: `{a,b}/{c,d}` stands for four. */
const ALTERNATIVES_LIMIT = 100;
const LENGTH_LIMIT = 1024;

/**
 * Of the libraries at hand this is the one that matches without regular expressions: patterns and paths are both a
 * stranger's, and `*a*a*a*a*a*b` would keep one of those busy for minutes.
 */
const OPTIONS: MinimatchOptions = {
  dot: true,
  nocomment: true,
  nonegate: true,
  noext: true,
  platform: 'linux',
  braceExpandMax: ALTERNATIVES_LIMIT + 1,
};

/**
 * What is wrong with a glob of `coverage.exclude_paths`; null: nothing is. It is matched against the whole path of a file
 * from the root of the repository, with `/` between folders, upper and lower case told apart:
 * `*` any characters but `/`, `?` one of them, `[ab]` and `[!ab]` one of a set, `{a,b}` alternatives, `**` any folders,
 * none included; a leading dot is a character like others. A backslash takes the character after it as it is: `\[id\]`.
 * What matches a folder leaves out all that is in it: `vendor`, `vendor/` and `vendor/**` do the same to a folder.
 * So `*.js` means those at the root, `**` + `/*.js` those everywhere.
 */
export function globProblem(glob: string): string | null {
  if (glob.trim() === '') return 'it is empty';
  if (glob.length > LENGTH_LIMIT) return `it is longer than ${LENGTH_LIMIT} characters`;
  if (/\p{Cc}/u.test(glob)) return 'it has a control character in it';
  if (glob.startsWith('/'))
    return 'it begins with a slash, and paths here begin at the root of the repository without one';
  if (glob.startsWith('!')) return 'it begins with an exclamation mark, and nothing can be taken back in here';
  if (/\\[\p{L}\p{N}_.]/u.test(glob)) return 'it has a backslash between folders, where a slash belongs';
  const parts = withoutEnds(glob).split('/');
  if (parts.some((part) => part === '.' || part === '..')) return 'it has . or .. as a folder';
  if (parts.includes('')) return 'it has two slashes in a row, or names no folder';
  if (braceExpand(glob, OPTIONS).length > ALTERNATIVES_LIMIT) {
    return `its braces stand for more than ${ALTERNATIVES_LIMIT} patterns`;
  }
  return null;
}

/**
 * Tells which files are left out of the coverage.
 * @param globs ones that nothing is wrong with
 */
export function exclusion(globs: readonly string[]): (path: string) => boolean {
  const matchers = globs.flatMap((glob) => {
    const pattern = withoutEnds(glob);
    const inside = matcher(`${pattern}/**`);
    return glob.endsWith('/') ? [inside] : [matcher(pattern), inside];
  });
  return (path) => matchers.some((each) => each.match(path));
}

function withoutEnds(glob: string): string {
  return glob.replace(/^(?:\.\/)+/, '').replace(/\/$/, '');
}

function matcher(pattern: string): Minimatch {
  return new Minimatch(pattern, OPTIONS);
}
