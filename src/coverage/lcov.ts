import { addHits, type CollectedLines, lineOf, type LineHits } from './collected-lines.ts';
import { CoverageError } from './coverage-error.ts';

/**
 * What a line of a tracefile may begin with (geninfo(1), section FILES; the last two lines since version 2). Only the files
 * and their lines are read; functions, branches and conditions have many dialects.
 */
const RECORDS = new Set(
  [
    ['TN', 'SF', 'VER', 'FN', 'FNDA', 'FNF', 'FNH', 'BRDA', 'BRF', 'BRH', 'DA', 'LF', 'LH'],
    ['FNL', 'FNA', 'MCDC', 'MCF', 'MCH'],
  ].flat(),
);
/** Names of functions can be long; a line that is longer than this is none of a tracefile. */
const LONGEST_LINE = 1024 * 1024;

/** Reads an LCOV tracefile, piece by piece. Only the line at the end of a piece is kept for the next one. */
export class LcovReader {
  readonly #collected: CollectedLines;
  #rest = '';
  #number = 0;
  #isRecognised = false;
  /** The file whose section it is in. */
  #file: { lines: LineHits; begunAt: number } | null = null;

  constructor(collected: CollectedLines) {
    this.#collected = collected;
  }

  /** @throws CoverageError */
  write(text: string): void {
    const whole = this.#rest + text;
    let start = 0;
    for (let end = whole.indexOf('\n'); end !== -1; end = whole.indexOf('\n', start)) {
      this.#read(whole.slice(start, end));
      start = end + 1;
    }
    this.#rest = whole.slice(start);
    if (this.#rest.length > LONGEST_LINE) throw new CoverageError(this.#number + 1, 'the line has no end');
  }

  /** @throws CoverageError where it ends within a file, so that the lines of it may be missing */
  end(): void {
    if (this.#rest !== '') this.#read(this.#rest);
    if (!this.#isRecognised) throw new CoverageError(1, 'there is nothing in it, neither LCOV nor Cobertura');
    if (this.#file !== null) {
      throw new CoverageError(this.#file.begunAt, 'the report is cut off: there is no end_of_record for this file');
    }
  }

  #read(line: string): void {
    this.#number++;
    // Nearly all lines are these, and there are millions of them.
    if (this.#file !== null && line.startsWith('DA:')) {
      this.#readLine(line, this.#file.lines);
      return;
    }
    const text = line.trimEnd();
    if (text === '' || text.startsWith('#')) return;
    if (text === 'end_of_record') {
      this.#file = null;
      if (!this.#isRecognised) throw this.#foreign();
      return;
    }
    const colon = text.indexOf(':');
    const kind = text.slice(0, Math.max(0, colon));
    // A kind that a later version adds is passed over, but not as the first of all.
    if (!RECORDS.has(kind) && !(this.#isRecognised && /^[A-Z]{2,16}$/.test(kind))) throw this.#foreign();
    this.#isRecognised = true;
    if (kind === 'DA') throw this.#error('there is a line (DA) before its file (SF)');
    if (kind === 'SF') {
      const lines = this.#collected.file(text.slice(colon + 1).trim(), this.#number);
      this.#file = { lines, begunAt: this.#number };
    }
  }

  /** `DA:number,hits`, and a checksum of the line with some. */
  #readLine(text: string, lines: LineHits): void {
    const comma = text.indexOf(',');
    const second = comma === -1 ? -1 : text.indexOf(',', comma + 1);
    const number = text.slice(3, Math.max(3, comma)).trim();
    const hits = comma === -1 ? '' : text.slice(comma + 1, second === -1 ? undefined : second).trim();
    const line = lineOf(number, hits, this.#number);
    if (line !== null) addHits(lines, line.number, line.hits);
  }

  #foreign(): CoverageError {
    return this.#error(this.#isRecognised ? 'this is not a record of LCOV' : 'this is neither LCOV nor Cobertura');
  }

  #error(problem: string): CoverageError {
    return new CoverageError(Math.max(this.#number, 1), problem);
  }
}
