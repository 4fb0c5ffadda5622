import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { checkCoverage } from './parse.ts';

export interface ReceivedReport {
  /** As it came, compressed by gzip. */
  content: Buffer;
  /** Before it was compressed. */
  sizeBytes: number;
}

/** What is read at once, in bytes: between two of them others have their turn. */
const PIECE = 64 * 1024;

/**
 * Takes a report in as it comes, and looks through it on the way. Nothing of it is held but what it is compressed to.
 * @throws CoverageError with the line, for what is neither LCOV nor Cobertura or has a fault
 * @throws Refusal (`too_large`), and what the chunks throw
 */
export async function receiveReport(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<ReceivedReport> {
  const gzip = createGzip();
  const packed: Buffer[] = [];
  let sizeBytes = 0;
  gzip.on('data', (part: Buffer) => packed.push(part));
  async function* passedOn(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; at += PIECE) {
        const piece = chunk.subarray(at, at + PIECE);
        yield piece; // looked at first: what is too large is not compressed any more
        sizeBytes += piece.length;
        if (!gzip.write(piece)) await once(gzip, 'drain');
      }
    }
  }
  try {
    await checkCoverage(passedOn());
    gzip.end();
    await finished(gzip);
    return { content: Buffer.concat(packed), sizeBytes };
  } finally {
    gzip.destroy();
  }
}
