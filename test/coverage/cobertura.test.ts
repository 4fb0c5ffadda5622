import { describe, expect, test } from 'vitest';
import { CoverageError } from '../../src/coverage/coverage-error.ts';
import { type CoverageReport, parseCoverage } from '../../src/coverage/parse.ts';

const parse = (text: string): Promise<CoverageReport> => parseCoverage([new TextEncoder().encode(text)]);
const within = (classes: string): string =>
  `<coverage>\n<packages><package name="p"><classes>\n${classes}\n</classes></package></packages>\n</coverage>`;
const line = (number: number, hits: number): string => `<line number="${number}" hits="${hits}"/>`;

describe('Cobertura', () => {
  test('U5: a report of no lines is one', async () => {
    expect(await parse('<coverage line-rate="0"><packages/></coverage>')).toEqual({ format: 'cobertura', files: [] });
  });

  test('U5: classes of one file come together, in whichever packages they are', async () => {
    const { files } = await parse(
      within(
        `<class filename="b.cs"><lines>${line(3, 1)}${line(1, 0)}</lines></class>
        <class filename="a.cs"><lines>${line(1, 1)}</lines></class>
        <class filename="./b.cs"><lines>${line(3, 0)}${line(4, 2)}</lines></class>
        <class filename="b.cs"><lines>${line(1, 2)}</lines></class>`,
      ),
    );
    expect(files.map(({ path, lines }) => [path, ...lines])).toEqual([
      ['a.cs', [1, 1]],
      ['b.cs', [1, 2], [3, 1], [4, 2]],
    ]);
  });

  test('U5: the lines of methods count only where the class has no list of its own', async () => {
    const method = `<methods><method name="m"><lines>${line(1, 1)}${line(2, 0)}</lines></method></methods>`;
    const { files } = await parse(
      within(
        `<class filename="a">${method}<lines>${line(2, 5)}</lines></class><class filename="b">${method}<lines/></class>`,
      ),
    );
    expect(files.map(({ lines }) => [...lines])).toEqual([
      [[2, 5]],
      [
        [1, 1],
        [2, 0],
      ],
    ]);
  });

  test('U5: escapes, CDATA, comments and other elements are what XML says they are', async () => {
    const { files } = await parse(`<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE coverage SYSTEM "http://example.com/never-read.dtd">
<!-- <class filename="no"/> -->
<coverage><sources><source><![CDATA[lib & co]]></source></sources>
<packages><package><classes><class filename='a&lt;b&gt;&#233;.c'><lines><line hits='1' number='7'><conditions/></line></lines></class>
</classes></package></packages><line number="x"/></coverage>\n`);
    expect(files.map(({ path }) => path)).toEqual(['lib & co/a<b>é.c']);
  });

  test.each([
    [
      'other XML',
      '<?xml version="1.0"?>\n<report name="jacoco"/>',
      'line 2: this is neither LCOV nor Cobertura, whose first element is <coverage>',
    ],
    [
      'a page',
      '<!DOCTYPE html>\n<html><body>Not found</body></html>',
      'line 2: this is neither LCOV nor Cobertura, whose first element is <coverage>',
    ],
    [
      "Clover's XML",
      '\n<coverage generated="1"><project><package/></project></coverage>',
      'line 2: this is not Cobertura: there are no <packages> in its <coverage>',
    ],
    [
      "Sonar's XML",
      '<coverage version="1"><file path="a"/></coverage>',
      'line 1: this is not Cobertura: there are no <packages> in its <coverage>',
    ],
    ['a class without file', within('<class name="a"/>'), 'line 3: the name of the file is missing'],
    [
      'a line without number',
      within('<class filename="a"><lines>\n<line hits="1"/></lines></class>'),
      'line 4: the number of a line is not a whole number',
    ],
    [
      'a line without count',
      within('<class filename="a">\n\n<line number="1"/></class>'),
      'line 5: it does not say by a number how often the line ran',
    ],
    [
      'an element that is not closed',
      '<coverage><packages>\n</coverage>',
      'line 2: this is not well-formed XML (Unexpected close tag)',
    ],
    [
      'a report that is cut off',
      '<coverage><packages>\n<package>\n',
      'line 3: this is not well-formed XML (Unclosed root tag)',
    ],
    [
      'a report that is cut off in an element',
      '<coverage><packages>\n<pack',
      'line 2: this is not well-formed XML (Unclosed root tag)',
    ],
    [
      'two reports one after the other',
      `${within('')}\n${within('')}`,
      'line 6: a second report begins here, after the end of the first',
    ],
    [
      'an entity of its own',
      '<!DOCTYPE coverage [\n<!ENTITY a "b">\n]>\n<coverage><sources><source>&a;</source></sources></coverage>',
      'line 4: this is not well-formed XML (Invalid character entity)',
    ],
    [
      'an entity from outside',
      '<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/hostname">]>\n<coverage a="&x;"/>',
      'line 2: this is not well-formed XML (Invalid character entity)',
    ],
    [
      'another encoding',
      '<?xml version="1.0" encoding="ISO-8859-1"?>\n<coverage/>',
      'line 1: the report has another encoding than UTF-8',
    ],
    ['elements without end', '<coverage>'.repeat(100), 'line 1: the elements are nested too deeply'],
    [
      'attributes without end',
      `<coverage ${Array.from({ length: 100 }, (_, i) => `a${i}="" `).join('')}>`,
      'line 1: the element has too many attributes',
    ],
    [
      'a source without end',
      `<coverage><sources><source>${'a'.repeat(200_000)}`,
      'line 1: the name of the source folder has no end',
    ],
    [
      'a value without end',
      `<coverage a="${'a'.repeat(200_000)}`,
      'line 1: this is not well-formed XML (Max buffer length exceeded: attribValue)',
    ],
    [
      'sources without end',
      `<coverage><sources>${'<source>a</source>'.repeat(201)}`,
      'line 1: there are more than 200 sources',
    ],
  ])('U5: %s is refused with the line', async (_, text, message) => {
    const failed: unknown = await parse(text).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CoverageError);
    expect((failed as CoverageError).message).toBe(message);
  });

  test('U5: entities of entities are not expanded', async () => {
    const bomb = `<!DOCTYPE coverage [<!ENTITY a "${'x'.repeat(1_000)}">${Array.from({ length: 20 }, (_, i) => `<!ENTITY b${i} "&a;&a;">`).join('')}]>`;
    await expect(parse(`${bomb}<coverage><packages><package name="&b19;"/></packages></coverage>`)).rejects.toThrow(
      'Invalid character entity',
    );
  });
});
