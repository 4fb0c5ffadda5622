export interface PathHints {
  /** The absolute path of the checkout the report was made in (`/builds/acme/shop`), where the sender says it. */
  root?: string | undefined;
  /** The files of the commit, where they are known. What cannot be told otherwise is told by what is there. */
  files?: ReadonlySet<string> | undefined;
}

/**
 * Tells where a file of a report is in the repository. Names come with separators of Windows, with `./`, as absolute paths,
 * or relative to one of the report's source folders, which are absolute most often.
 *
 * With the commit's files known: the first place that is one of them, of those that the root and the sources give; where no
 * root is said, the longest end of an absolute path that is one; the name itself, where it is one. Otherwise the one place
 * that root and sources give, and where they give none or several the name itself, which stays absolute where it is outside.
 * @param sources the report's source folders
 */
export function repositoryPaths(sources: readonly string[], { root, files }: PathHints): (name: string) => string {
  const folders = sources.map(tidy);
  const base = root === undefined || root === '' ? null : tidy(root);

  return (name) => {
    const own = tidy(name);
    const full = isAbsolute(own) ? [own] : folders.map((folder) => joined(folder, own));
    const places = full.flatMap((path) => (isAbsolute(path) ? (within(base, path) ?? []) : path));
    if (files !== undefined) {
      const found = places.find((place) => files.has(place)) ?? (base === null ? longestEnd(files, full) : undefined);
      if (found !== undefined) return found;
      if (files.has(own)) return own;
    }
    const [place, another] = places;
    if (place !== undefined && another === undefined) return place;
    return (isAbsolute(own) && base === null ? inSource(folders, own) : null) ?? own;
  };
}

/** With `/` between folders, no empty or dotted ones, and `..` taken where there is a folder to take. */
function tidy(path: string): string {
  const slashed = path.replaceAll('\\', '/');
  const root = /^(?:[A-Za-z]:)?\/+/.exec(slashed)?.[0] ?? '';
  const parts: string[] = [];
  for (const part of slashed.slice(root.length).split('/')) {
    if (part === '' || part === '.') continue;
    if (part === '..' && parts.length > 0 && parts.at(-1) !== '..') parts.pop();
    else if (part !== '..' || root === '') parts.push(part);
  }
  return root.replace(/\/+$/, '/') + parts.join('/');
}

/** Coverlet's folders are roots of file systems (`/`, `C:/`), its names the whole rest. */
function joined(folder: string, name: string): string {
  const path = folder === '' || folder.endsWith('/') ? folder + name : `${folder}/${name}`;
  return name.startsWith('..') ? tidy(path) : path;
}

function isAbsolute(path: string): boolean {
  return /^(?:[A-Za-z]:)?\//.test(path);
}

/** The path from a folder; null where it is not in there. */
function within(folder: string | null, path: string): string | null {
  if (folder === null) return null;
  const start = folder.endsWith('/') ? folder : `${folder}/`;
  return path.startsWith(start) && path.length > start.length ? path.slice(start.length) : null;
}

/** The path from a source folder that it is in. A source that is a whole file system says nothing. */
function inSource(folders: readonly string[], path: string): string | null {
  for (const folder of folders) {
    const found = isAbsolute(folder) && !folder.endsWith('/') ? within(folder, path) : null;
    if (found !== null) return found;
  }
  return null;
}

/**
 * The longest end of an absolute path that is a file. Only where no root is said: outside of one it would be a file of
 * another project that has the same name.
 */
function longestEnd(files: ReadonlySet<string>, full: readonly string[]): string | undefined {
  let longest: string | undefined;
  for (const path of full.filter(isAbsolute)) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const end = path.slice(slash + 1);
      if (end.length <= (longest?.length ?? 0)) break;
      if (files.has(end)) longest = end;
    }
  }
  return longest;
}
