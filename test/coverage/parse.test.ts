import { describe, expect, test } from 'vitest';
import { parseCoverage } from '../../src/coverage/parse.ts';
import { COVERAGE_LIMIT } from '../../src/domain/coverage.ts';
import { Refusal } from '../../src/domain/refusal.ts';

/** Pieces of a report that would go on for ever, and how many of them were taken. */
function endless(head: string, piece: string): { chunks: Iterable<Uint8Array>; taken: () => number } {
  const bytes = Buffer.from(piece);
  let taken = 0;
  const chunks = (function* () {
    yield Buffer.from(head);
    for (;;) {
      taken += bytes.length;
      yield bytes;
    }
  })();
  return { chunks, taken: () => taken };
}

describe('a report of coverage', () => {
  test('U5: more than 50 MiB are refused as soon as they are', async () => {
    const piece = `FN:1,${'f'.repeat(1_000)}\n`.repeat(1_000);
    const { chunks, taken } = endless('SF:a.c\nDA:1,1\n', piece);
    const failed: unknown = await parseCoverage(chunks).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Refusal);
    expect((failed as Refusal).kind).toBe('too_large');
    expect((failed as Refusal).message).toBe('report: it is larger than 52428800 bytes (50 MiB)');
    expect(taken()).toBeLessThan(COVERAGE_LIMIT + 2 * piece.length);
  });

  test.each([
    ['white space', '', ' \n'.repeat(1_000), 'there is nothing in it, neither LCOV nor Cobertura'],
    ['a comment', '<coverage><!--', 'x'.repeat(60_000), 'Max buffer length exceeded: comment'],
    ['a document type', '<!DOCTYPE coverage [', '<!ENTITY a "b">'.repeat(9_000), 'Max buffer length exceeded: doctype'],
    ['one line', 'SF:', 'x'.repeat(60_000), 'the line has no end'],
  ])('U5: %s without end is refused before memory has', async (_, head, piece, message) => {
    await expect(parseCoverage(endless(head, piece).chunks)).rejects.toThrow(message);
  });

  test('U5: more files than any repository has are refused', async () => {
    const names = Array.from({ length: 200_001 }, (_, i) => `SF:${i}\nend_of_record\n`).join('');
    await expect(parseCoverage([Buffer.from(names)])).rejects.toThrow('line 400001: there are more than 200000 files');
  });
});
