import { foldCase, type SearchTerm } from './search-terms.ts';

/** The longest excerpt, in characters. */
export const EXCERPT_LIMIT = 160;
/** How much of a long line is shown before the first match, in characters. */
const LEAD = 40;

export interface SearchedFile {
  path: string;
  /** Null where only the path is indexed. */
  content: string | null;
}

/** Where a file matches, and how well. */
export interface SearchMatch {
  /** From 1, counted by line feeds as `git grep -n` does; null where only the path matches. */
  line: number | null;
  /**
   * The line, without the white space around it; of a long one the part around the first match, with `…` where it is cut.
   * Control characters are replaced, since a terminal would obey them. Null where there is no line.
   */
  excerpt: string | null;
  /** The higher the better; files of different repositories compare. */
  score: number;
}

/**
 * Points for one term: most where it stands on the line shown, and for whole words more than for parts of words.
 * In a path it counts besides, and most as the name of the file: `retry-policy` looks for `retry-policy.ts` first.
 */
const POINTS = { lineWord: 6, linePart: 4, elsewhere: 2, fileName: 5, pathWord: 3, pathPart: 1 };

/**
 * The line of a file that matches a search best, by a file in which every term is found, be it in its path or in its
 * content; null where one is not. The best line has most points; of equals it is the first. Files rank by the points of
 * all their terms, then by how early the line comes (for less than a point). Upper and lower case are the same.
 * @param terms as `parseSearch` gives them
 */
export function findMatch({ path, content }: SearchedFile, terms: readonly SearchTerm[]): SearchMatch | null {
  const text = content ?? '';
  const folded = foldCase(text);
  const foldedPath = foldCase(path);
  const fileName = foldedPath.slice(foldedPath.lastIndexOf('/') + 1);

  const isIn = terms.map((term) => folded.includes(term.folded));
  let score = 0;
  for (const [i, term] of terms.entries()) {
    const points = pathPoints(term.folded, foldedPath, fileName);
    if (points === 0 && !isIn[i]) return null;
    score += points;
  }

  const best = bestLine(folded, terms);
  if (best === null) return { line: null, excerpt: null, score };
  for (const [i, term] of terms.entries()) {
    score += linePoints(folded.slice(best.start, best.end), term.folded) || (isIn[i] ? POINTS.elsewhere : 0);
  }
  const line = countLines(text, best.start);
  const at = Math.min(...terms.map((term) => indexWithin(folded, term.folded, best.start, best.end)));
  return { line, excerpt: excerpt(text.slice(best.start, best.end), at - best.start), score: score + 1 / (line + 1) };
}

interface Line {
  /** Offsets in the text; without its line feed. */
  start: number;
  end: number;
}

/** The line with most points, the first of such; null where no term is in the text. Visits only lines with a match. */
function bestLine(folded: string, terms: readonly SearchTerm[]): Line | null {
  let best: (Line & { points: number }) | null = null;
  const next = terms.map((term) => folded.indexOf(term.folded));
  for (;;) {
    const at = Math.min(...next.filter((position) => position !== -1));
    if (at === Infinity) return best;
    const start = folded.lastIndexOf('\n', at) + 1;
    const feed = folded.indexOf('\n', at);
    const end = feed === -1 ? folded.length : feed;
    const line = folded.slice(start, end);
    const points = terms.reduce((sum, term) => sum + linePoints(line, term.folded), 0);
    if (best === null || points > best.points) best = { start, end, points };
    if (points === terms.length * POINTS.lineWord) return best;
    for (const [i, term] of terms.entries()) {
      if (next[i] !== -1 && (next[i] ?? 0) < end) next[i] = folded.indexOf(term.folded, end);
    }
  }
}

function linePoints(line: string, term: string): number {
  if (!line.includes(term)) return 0;
  return hasWord(line, term) ? POINTS.lineWord : POINTS.linePart;
}

function pathPoints(term: string, path: string, fileName: string): number {
  if (!path.includes(term)) return 0;
  if (term === fileName || fileName.startsWith(`${term}.`)) return POINTS.fileName;
  return hasWord(path, term) ? POINTS.pathWord : POINTS.pathPart;
}

/** Whether the term stands somewhere in the text with no letter, digit or `_` going on from its own. */
function hasWord(text: string, term: string): boolean {
  const wordBefore = startsWithWord(term);
  const wordAfter = endsWithWord(term);
  for (let at = text.indexOf(term); at !== -1; at = text.indexOf(term, at + 1)) {
    const goesOnBefore = wordBefore && endsWithWord(text.slice(Math.max(0, at - 2), at));
    const goesOnAfter = wordAfter && startsWithWord(text.slice(at + term.length, at + term.length + 2));
    if (!goesOnBefore && !goesOnAfter) return true;
  }
  return false;
}

function startsWithWord(text: string): boolean {
  return /^[\p{L}\p{M}\p{N}_]/u.test(text);
}

function endsWithWord(text: string): boolean {
  return /[\p{L}\p{M}\p{N}_]$/u.test(text);
}

function indexWithin(text: string, term: string, start: number, end: number): number {
  const at = text.slice(start, end).indexOf(term);
  return at === -1 ? Infinity : start + at;
}

function countLines(text: string, until: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at !== -1 && at < until; at = text.indexOf('\n', at + 1)) line++;
  return line;
}

function excerpt(line: string, matchAt: number): string {
  const indent = line.length - line.trimStart().length;
  const trimmed = line.trim();
  let shown = trimmed;
  if (trimmed.length > EXCERPT_LIMIT) {
    const from = Math.min(Math.max(0, matchAt - indent - LEAD), trimmed.length - EXCERPT_LIMIT + 1);
    const start = from <= 1 ? 0 : from;
    const head = start === 0 ? '' : '…';
    const room = EXCERPT_LIMIT - head.length;
    const isLast = start + room >= trimmed.length;
    const part = trimmed.slice(start, isLast ? trimmed.length : start + room - 1);
    // A pair of surrogates is one character: half of one at an end is left out.
    shown = head + part.replace(/^[\udc00-\udfff]/, '').replace(/[\ud800-\udbff]$/, '') + (isLast ? '' : '…');
  }
  return shown.replace(/\t/g, ' ').replace(/\p{Cc}/gu, '\ufffd');
}
