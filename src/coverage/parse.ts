import { COVERAGE_LIMIT, type FileCoverage, type FileTotals } from '../domain/coverage.ts';
import { Refusal } from '../domain/refusal.ts';
import { CoberturaReader } from './cobertura.ts';
import { CollectedLines, MarkedLines, PassedLines } from './collected-lines.ts';
import { CoverageError } from './coverage-error.ts';
import { LcovReader } from './lcov.ts';
import { type PathHints, repositoryPaths } from './repository-path.ts';

export interface CoverageReport {
  format: 'lcov' | 'cobertura';
  /** In the order of their paths, each once. */
  files: FileCoverage[];
}

export interface MeasuredReport {
  format: CoverageReport['format'];
  /** In the order of their paths, each once. */
  files: FileTotals[];
}

/** How much white space may come first, in characters. */
const BLANK_LIMIT = 1024;
const empty = () => new CoverageError(1, 'there is nothing in it, neither LCOV nor Cobertura');

/**
 * Reads a report of LCOV or of Cobertura, whichever it is, from its bytes in UTF-8 as they come. What is kept of it are its
 * lines: at most some times the size of the report.
 * @throws CoverageError with the line, for what is neither or has a fault
 * @throws Refusal (`too_large`) as soon as it is larger than `COVERAGE_LIMIT`
 */
export async function parseCoverage(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  hints: PathHints = {},
): Promise<CoverageReport> {
  const collected = new CollectedLines();
  const format = await read(chunks, collected);
  return { format, files: collected.finish(repositoryPaths(collected.sources, hints)) };
}

/**
 * The same without the lines, in a small part of the memory.
 * @throws what {@link parseCoverage} throws
 */
export async function measureCoverage(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  hints: PathHints = {},
): Promise<MeasuredReport> {
  const collected = new MarkedLines();
  const format = await read(chunks, collected);
  return { format, files: collected.totals(repositoryPaths(collected.sources, hints)) };
}

/**
 * Looks through a report as {@link parseCoverage} reads it, without keeping its lines.
 * @throws what that throws
 */
export async function checkCoverage(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<CoverageReport['format']> {
  return read(chunks, new PassedLines());
}

async function read(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  collected: CollectedLines,
): Promise<CoverageReport['format']> {
  const decoder = new TextDecoder('utf-8');
  let reader: LcovReader | CoberturaReader | null = null;
  let before = '';
  let bytes = 0;
  const take = (text: string) => {
    if (reader !== null) {
      reader.write(text);
      return;
    }
    before += text;
    const start = before.trimStart();
    if (start === '') {
      if (before.length > BLANK_LIMIT) throw empty();
      return;
    }
    reader = start.startsWith('<') ? new CoberturaReader(collected) : new LcovReader(collected);
    reader.write(before);
    before = '';
  };
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > COVERAGE_LIMIT) {
      throw new Refusal('too_large', `report: it is larger than ${COVERAGE_LIMIT} bytes (50 MiB)`, 'report');
    }
    take(decoder.decode(chunk, { stream: true }));
  }
  take(decoder.decode());
  const used = reader as LcovReader | CoberturaReader | null;
  if (used === null) throw empty();
  used.end();
  return used instanceof LcovReader ? 'lcov' : 'cobertura';
}
