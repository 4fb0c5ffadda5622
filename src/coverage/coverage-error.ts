/** A report that cannot be read: one sentence that begins with the line, where there is one to name. */
export class CoverageError extends Error {
  override readonly name = 'CoverageError';
  /** Counted from 1. */
  readonly line: number;

  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.line = line;
  }
}
