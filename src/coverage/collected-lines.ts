import type { FileCoverage, FileTotals, LineTotals } from '../domain/coverage.ts';
import { CoverageError } from './coverage-error.ts';
import { LineMarks } from './line-marks.ts';

/** Lines are `integer` wherever they are kept. */
const LAST_LINE = 2_147_483_647;
export const LONGEST_PATH = 4_096;
/** More than any repository has; the tiniest ones would fill a report with millions. */
const FILES_LIMIT = 200_000;

/** How often lines ran, by their number from 1. */
export type LineHits = Map<number, number>;

/** What a reader has found so far, by the names of files as the report has them. */
export class CollectedLines {
  /** Folders that names of files may be relative to, as the report has them. */
  readonly sources: string[] = [];
  readonly #files = new Map<string, LineHits>();

  /**
   * The lines of a file, to add to; of one that was there before these are the same, so that what several tests or classes
   * have of it comes together.
   * @param line of the report, for the error
   * @throws CoverageError where it cannot be the name of a file
   */
  file(name: string, line: number): LineHits {
    if (name === '') throw new CoverageError(line, 'the name of the file is missing');
    if (name.length > LONGEST_PATH || /\p{Cc}/u.test(name)) {
      throw new CoverageError(line, 'this is not the name of a file: it is too long, or has control characters in it');
    }
    let found = this.#files.get(name);
    if (found === undefined) {
      if (this.#files.size === FILES_LIMIT) throw new CoverageError(line, `there are more than ${FILES_LIMIT} files`);
      found = this.newLines();
      // A copy: what is cut out of a longer text keeps all of that alive, which here would be the whole report.
      this.#files.set(Buffer.from(name).toString(), found);
    }
    return found;
  }

  /** To add to, of a part of a file. */
  newLines(): LineHits {
    return new Map();
  }

  /** Every file once, in the order of its path, with its lines in order. @param pathOf where a file is in the repository */
  finish(pathOf: (name: string) => string): FileCoverage[] {
    return this.#byPath(pathOf).map(([path, lines]) => ({ path, lines: inOrder(lines), ...countLines(lines) }));
  }

  /** The same without the lines. */
  totals(pathOf: (name: string) => string): FileTotals[] {
    return this.#byPath(pathOf).map(([path, lines]) => ({ path, ...countLines(lines) }));
  }

  #byPath(pathOf: (name: string) => string): [path: string, lines: LineHits][] {
    const byPath = new Map<string, LineHits>();
    for (const [name, lines] of this.#files) {
      const path = pathOf(name);
      const known = byPath.get(path);
      if (known === undefined) byPath.set(path, lines);
      else for (const [number, hits] of lines) addHits(known, number, hits);
    }
    return [...byPath].sort(([one], [other]) => (one < other ? -1 : 1));
  }
}

function countLines(lines: LineHits): LineTotals {
  let covered = 0;
  for (const hits of lines.values()) if (hits > 0) covered++;
  return { covered, total: lines.size };
}

/** For a report of which only the totals matter, so that large ones fit. */
export class MarkedLines extends CollectedLines {
  override newLines(): LineHits {
    return new LineMarks();
  }
}

/** For a report that is only looked through: it finds the same faults, and keeps nothing but the names of the files. */
export class PassedLines extends CollectedLines {
  override newLines(): LineHits {
    return NOTHING_KEPT;
  }
}

const NOTHING_KEPT = new (class extends Map<number, number> {
  override set(): this {
    return this;
  }
})();

export function addHits(lines: LineHits, number: number, hits: number): void {
  lines.set(number, Math.min((lines.get(number) ?? 0) + hits, Number.MAX_SAFE_INTEGER));
}

/**
 * The number of a line, and how often it ran, from the digits of a report; null for what is no line: some tools count one
 * with the number 0, for code that no line of the file stands for.
 * Negative counts come of counters that were torn by threads, and fractions of tools that weigh: a line either ran or did not.
 * @throws CoverageError
 */
export function lineOf(number: string, hits: string, line: number): { number: number; hits: number } | null {
  if (!/^\d{1,10}$/.test(number) || Number(number) > LAST_LINE) {
    throw new CoverageError(line, 'the number of a line is not a whole number');
  }
  if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(hits)) {
    throw new CoverageError(line, 'it does not say by a number how often the line ran');
  }
  const found = Number(number);
  const count = Math.min(Math.max(0, Math.ceil(Number(hits))), Number.MAX_SAFE_INTEGER);
  return found === 0 ? null : { number: found, hits: count };
}

function inOrder(lines: LineHits): LineHits {
  let last = 0;
  for (const number of lines.keys()) {
    if (number < last) return new Map([...lines].sort(([a], [b]) => a - b));
    last = number;
  }
  return lines;
}
