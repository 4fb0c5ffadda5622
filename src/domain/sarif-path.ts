export interface ArtifactLocation {
  uri?: string | null | undefined;
  uriBaseId?: string | null | undefined;
}

export type UriBases = Readonly<Record<string, ArtifactLocation>>;

/** The most characters of a path. */
const PATH_LIMIT = 4_096;
/** How many bases may stand on one another. */
const DEPTH_LIMIT = 8;

/**
 * The path within the tree, as git has it, that a location in a SARIF file means; null where it means nothing in it, be it
 * outside, on the web or the tree itself.
 * @param bases the run's `originalUriBaseIds`; one without a URI stands for the tree
 * @param roots where the tree lay for the tool: absolute paths
 */
export function pathInTree(location: ArtifactLocation, bases: UriBases, roots: readonly string[]): string | null {
  const text = locate(location, bases, 0);
  if (text === null || text.includes('\0')) return null;
  const segments = normalized(text);
  if (segments === null) return null;
  const inner = text.startsWith('/') ? withoutRoot(segments, roots) : segments;
  const path = inner?.join('/') ?? '';
  return path === '' || path.length > PATH_LIMIT ? null : path;
}

const SCHEME = /^[a-z][a-z0-9+.-]*:/i;
const FILE = /^file:(?:\/\/(?:localhost)?(?=\/))?(?=\/)/i;

/** A path, absolute or relative to the tree; null for what is none. */
function locate({ uri, uriBaseId }: ArtifactLocation, bases: UriBases, depth: number): string | null {
  if (uri === undefined || uri === null || depth > DEPTH_LIMIT) return null;
  if (FILE.test(uri)) return decoded(uri.replace(FILE, ''));
  if (SCHEME.test(uri)) return null;
  const path = decoded(uri);
  if (path.startsWith('/') || uriBaseId === undefined || uriBaseId === null) return path;
  const base = Object.hasOwn(bases, uriBaseId) ? bases[uriBaseId] : undefined;
  if (base?.uri === undefined || base.uri === null || base.uri === '') return path;
  const folder = locate(base, bases, depth + 1);
  return folder === null ? null : `${folder.replace(/\/+$/, '')}/${path}`;
}

/** Not every tool encodes what has to be. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Null where it leads out of where it begins. */
function normalized(path: string): string[] | null {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '' || segment === '.') continue;
    if (segment !== '..') segments.push(segment);
    else if (segments.pop() === undefined) return null;
  }
  return segments;
}

function withoutRoot(segments: readonly string[], roots: readonly string[]): string[] | null {
  for (const root of roots) {
    const above = normalized(root);
    if (above?.every((segment, at) => segments[at] === segment)) return segments.slice(above.length);
  }
  return null;
}
