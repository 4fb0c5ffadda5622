import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CoverageError } from '../../src/coverage/coverage-error.ts';
import { type CoverageReport, measureCoverage, parseCoverage } from '../../src/coverage/parse.ts';

const parse = (text: string): Promise<CoverageReport> => parseCoverage([new TextEncoder().encode(text)]);

describe('LCOV', () => {
  test.each<[string, string, [number, number][]]>([
    ['with the line ends of Windows', 'TN:\r\nSF:a.c\r\nDA:1,2\r\nend_of_record\r\n', [[1, 2]]],
    ['with a byte order mark and empty lines before it', '\ufeff\n\nSF:a.c\nDA:1,2\nend_of_record', [[1, 2]]],
    [
      'with checksums',
      'SF:a.c\nDA:1,2,abc,d\nDA:2,0,x\nend_of_record\n',
      [
        [1, 2],
        [2, 0],
      ],
    ],
    ['with spaces', 'SF: a.c \nDA: 1, 2 \nend_of_record \n', [[1, 2]]],
    ['with a line twice', 'SF:a.c\nDA:1,2\nDA:1,3\nend_of_record\n', [[1, 5]]],
    [
      'out of order',
      'SF:a.c\nDA:9,1\nDA:2,0\nend_of_record\n',
      [
        [2, 0],
        [9, 1],
      ],
    ],
    [
      'with counts below zero',
      'SF:a.c\nDA:1,-4\nDA:2,1\nend_of_record\n',
      [
        [1, 0],
        [2, 1],
      ],
    ],
    [
      'with counts as fractions',
      'SF:a.c\nDA:1,0.5\nDA:2,1.5e3\nDA:3,0.0\nend_of_record\n',
      [
        [1, 1],
        [2, 1500],
        [3, 0],
      ],
    ],
    [
      'with counts beyond all',
      'SF:a.c\nDA:1,18446744073709551615\nDA:1,1e400\nend_of_record\n',
      [[1, Number.MAX_SAFE_INTEGER]],
    ],
    ['with a line 0', 'SF:a.c\nDA:0,4\nDA:1,1\nend_of_record\n', [[1, 1]]],
    ['with records of a later version', 'SF:a.c\nNEW:1,2\nDA:1,1\nend_of_record\n', [[1, 1]]],
    ['with a file that begins before the last one ends', 'SF:b.c\nSF:a.c\nDA:1,1\nend_of_record\n', [[1, 1]]],
    ['with a file of no lines', 'SF:a.c\nend_of_record\n', []],
  ])('U5: %s is read', async (_, text, lines) => {
    const { format, files } = await parse(text);
    expect(format).toBe('lcov');
    expect([...(files.find(({ path }) => path === 'a.c')?.lines ?? [])]).toEqual(lines);
  });

  test('U5: a report of no files is one', async () => {
    expect(await parse('TN:\n')).toEqual({ format: 'lcov', files: [] });
  });

  test.each([
    ['nothing', '', 'line 1: there is nothing in it, neither LCOV nor Cobertura'],
    ['white space', ' \n\n', 'line 1: there is nothing in it, neither LCOV nor Cobertura'],
    ['comments', '# a\n# b\n', 'line 1: there is nothing in it, neither LCOV nor Cobertura'],
    ['JSON', '{"total": 3}', 'line 1: this is neither LCOV nor Cobertura'],
    ["Go's own format", '\nmode: count\na.go:1.2,3.4 1 1\n', 'line 2: this is neither LCOV nor Cobertura'],
    ['an end without a beginning', 'end_of_record\n', 'line 1: this is neither LCOV nor Cobertura'],
    ['bytes that are no text', '\u0000\u0001PK\u0003', 'line 1: this is neither LCOV nor Cobertura'],
    ['a record of none', 'SF:a.c\nDA:1,1\nwhat is this\nend_of_record\n', 'line 3: this is not a record of LCOV'],
    ['a line before any file', 'TN:x\nDA:1,1\n', 'line 2: there is a line (DA) before its file (SF)'],
    ['a line after its file', 'SF:a.c\nend_of_record\nDA:1,1\n', 'line 3: there is a line (DA) before its file (SF)'],
    ['a line without count', 'SF:a.c\nDA:1\nend_of_record\n', 'line 2: the number of a line is not a whole number'],
    [
      'a line with an empty count',
      'SF:a.c\nDA:1,\nend_of_record\n',
      'line 2: it does not say by a number how often the line ran',
    ],
    [
      'a count that is none',
      'SF:a.c\nDA:1,=====\nend_of_record\n',
      'line 2: it does not say by a number how often the line ran',
    ],
    ['a number that is none', 'SF:a.c\nDA:x,1\nend_of_record\n', 'line 2: the number of a line is not a whole number'],
    [
      'a number that is too large',
      'SF:a.c\nDA:2147483648,1\nend_of_record\n',
      'line 2: the number of a line is not a whole number',
    ],
    ['a file without name', 'SF:\nend_of_record\n', 'line 1: the name of the file is missing'],
    [
      'a file with a NUL in its name',
      'SF:a\u0000.c\n',
      'line 1: this is not the name of a file: it is too long, or has control characters in it',
    ],
    [
      'a file with a long name',
      `SF:${'a'.repeat(5_000)}\n`,
      'line 1: this is not the name of a file: it is too long, or has control characters in it',
    ],
    [
      'a report that is cut off',
      'SF:a.c\nend_of_record\nSF:b.c\nDA:1,1\n',
      'line 3: the report is cut off: there is no end_of_record for this file',
    ],
    ['a line without end', `SF:a.c\nFN:1,${'a'.repeat(2_000_000)}`, 'line 2: the line has no end'],
  ])('U5: %s is refused with the line', async (_, text, message) => {
    const failed: unknown = await parse(text).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CoverageError);
    expect((failed as CoverageError).message).toBe(message);
    expect((failed as CoverageError).line).toBe(Number(/\d+/.exec(message)?.[0]));
  });

  test('U5: whatever files and lines there are, and wherever the report is cut into pieces, they are what is read', async () => {
    const name = fc.stringMatching(/^[a-zü€𝒳]{1,3}$/u);
    const lines = fc.dictionary(fc.integer({ min: 1, max: 99 }).map(String), fc.nat({ max: 5 }));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, lines)), fc.integer({ min: 1, max: 20 }), async (sections, size) => {
        const expected = new Map<string, Map<number, number>>();
        let text = 'TN:\n';
        for (const [file, hits] of sections) {
          const found = expected.get(file) ?? new Map<number, number>();
          expected.set(file, found);
          for (const [number, count] of Object.entries(hits)) {
            found.set(Number(number), (found.get(Number(number)) ?? 0) + count);
          }
          text += `SF:${file}\n${Object.entries(hits)
            .map(([number, count]) => `DA:${number},${count}\n`)
            .join('')}end_of_record\n`;
        }
        const { files } = await parseCoverage(pieces(text, size));
        expect(new Map(files.map((file) => [file.path, file.lines]))).toEqual(expected);
        const measured = await measureCoverage(pieces(text, size));
        expect(measured.files).toEqual(files.map(({ lines: _, ...totals }) => totals));
        for (const { lines: read, covered, total } of files) {
          expect([...read.keys()]).toEqual([...read.keys()].sort((a, b) => a - b));
          expect(total).toBe(read.size);
          expect(covered).toBe([...read.values()].filter((hits) => hits > 0).length);
        }
      }),
    );
  });
});

function* pieces(text: string, size: number): Generator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}
