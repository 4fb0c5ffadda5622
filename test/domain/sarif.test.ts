import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pathInTree } from '../../src/domain/sarif-path.ts';
import { type Problem, readSarif } from '../../src/domain/sarif.ts';

type Json = Record<string, unknown>;

const log = (run: Json): string =>
  JSON.stringify({ version: '2.1.0', runs: [{ tool: { driver: { name: 'lint' } }, ...run }] });
const at = (uri: string, region: Json = { startLine: 3, startColumn: 5 }): Json[] => [
  { physicalLocation: { artifactLocation: { uri }, region } },
];
const result = (more: Json = {}): Json => ({ message: { text: 'wrong' }, locations: at('a.js'), ...more });

function problemsIn(content: string, roots: string[] = []): Problem[] {
  const results = readSarif(content, { roots });
  if ('error' in results) throw new Error(results.error);
  return results.problems;
}

function onlyIn(run: Json): Problem {
  const problems = problemsIn(log(run));
  expect(problems).toHaveLength(1);
  return problems[0]!;
}

function errorIn(content: string): string {
  const results = readSarif(content);
  return 'error' in results ? results.error : 'none';
}

const short = ({ path, line, column, ruleId, level }: Problem): string =>
  `${path ?? '-'}:${line ?? '-'}:${column ?? '-'} ${ruleId ?? '-'} ${level}`;

describe('U4a: SARIF as tools write it', () => {
  const file = async (name: string): Promise<string> =>
    readFile(new URL(`../checks/sarif/${name}.sarif`, import.meta.url), 'utf8');

  test('ESLint: what is suppressed is left out, a file that cannot be parsed is a problem', async () => {
    const problems = problemsIn(await file('eslint'), ['/tmp/project']);
    expect(problems.map(short)).toEqual([
      'src/sub dir/ü b.js:1:14 ESL0999 error',
      'src/a.js:1:5 no-unused-vars warning',
      'src/a.js:2:5 no-undef error',
      'src/a.js:2:7 eqeqeq error',
      'src/a.js:2:15 no-debugger error',
    ]);
    expect(problems[0]?.message).toBe('Parsing error: Unexpected token ;');
    expect(problems[1]?.message).toBe("'unused' is assigned a value but never used.");
  });

  test('ruff: absolute paths, levels', async () => {
    const problems = problemsIn(await file('ruff'), ['/elsewhere', '/tmp/project/']);
    expect(problems.length).toBeGreaterThan(5);
    expect(new Set(problems.map(({ path }) => path))).toEqual(new Set(['src/b.py']));
    expect(problems.map(short)).toContain('src/b.py:6:11 F821 error');
  });

  test('bandit: relative paths, no columns', async () => {
    const problems = problemsIn(await file('bandit'));
    expect(problems.map(short)).toEqual([
      'src/b.py:2:- B404 note',
      'src/b.py:4:- B101 note',
      'src/b.py:5:- B602 error',
    ]);
  });
});

describe('U4a: what a result says', () => {
  test('all of it', () => {
    const one = onlyIn({ results: [result({ ruleId: 'no-x', level: 'error' })] });
    expect(one).toEqual({ path: 'a.js', line: 3, column: 5, ruleId: 'no-x', level: 'error', message: 'wrong' });
  });

  test('as little as the format asks for', () => {
    const one = onlyIn({ results: [{ message: {} }] });
    expect(one).toEqual({
      path: null,
      line: null,
      column: null,
      ruleId: null,
      level: 'warning',
      message: 'no message',
    });
  });

  test.each([[undefined], [null], [[]]])('no results (%o) are no problems', (results) => {
    expect(problemsIn(log({ results }))).toEqual([]);
    expect(problemsIn(JSON.stringify({ version: '2.1.0', runs: [] }))).toEqual([]);
  });

  test("levels and messages come from the rule, be it the driver's or an extension's", () => {
    const rule = (id: string, level: string): Json => ({
      id,
      defaultConfiguration: { level },
      messageStrings: { default: { text: "{0} is not {1}; '{{0}}'" } },
    });
    const tool = {
      driver: { name: 'lint', rules: [rule('first', 'note'), rule('second', 'error')] },
      extensions: [{ name: 'more', rules: [rule('third', 'note')] }],
    };
    const message = { id: 'default', arguments: ['this', 'that'] };
    const results = [
      { ruleIndex: 1, message },
      { rule: { index: 0, toolComponent: { index: 0 } }, message },
      { ruleId: 'second/part', message },
      { ruleId: 'unknown', message: { text: 'use {0} here' } },
    ];
    const problems = problemsIn(log({ tool, results }));
    expect(problems.map(({ ruleId, level }) => `${ruleId ?? ''} ${level}`)).toEqual([
      'second error',
      'third note',
      'second/part error',
      'unknown warning',
    ]);
    expect(problems.map(({ message }) => message)).toEqual([
      ...Array<string>(3).fill("this is not that; '{0}'"),
      'use {0} here',
    ]);
  });

  test('what is no problem is left out', () => {
    const suppressed = (status?: string): Json => ({ suppressions: [{ kind: 'inSource', status }] });
    const results = [
      ...['pass', 'notApplicable', 'informational'].map((kind) => result({ kind })),
      result({ baselineState: 'absent' }),
      result(suppressed()),
      result(suppressed('accepted')),
      result({ ruleId: 'kept', ...suppressed('rejected') }),
      result({ ruleId: 'kept', kind: 'review', baselineState: 'unchanged', suppressions: [] }),
    ];
    expect(problemsIn(log({ results })).map(({ ruleId }) => ruleId)).toEqual(['kept', 'kept']);
  });

  test('locations by index, and by bases that stand on one another', () => {
    const originalUriBaseIds = {
      ROOT: { uri: 'file:///tree/' },
      SRC: { uri: 'src%20x/', uriBaseId: 'ROOT' },
      EMPTY: {},
    };
    const where = (artifactLocation: Json): Json => result({ locations: [{ physicalLocation: { artifactLocation } }] });
    const run = {
      originalUriBaseIds,
      artifacts: [{ location: { uri: 'b.js', uriBaseId: 'SRC' } }],
      results: [
        where({ index: 0 }),
        where({ uri: 'c.js', uriBaseId: 'EMPTY' }),
        where({ uri: 'd.js', uriBaseId: 'toString' }),
        where({ index: 7 }),
      ],
    };
    expect(problemsIn(log(run), ['/tree']).map(({ path }) => path)).toEqual(['src x/b.js', 'c.js', 'd.js', null]);
  });

  test('text that no terminal obeys and Postgres stores', () => {
    const one = onlyIn({
      results: [result({ ruleId: 'a\u001b[1m', message: { text: 'x\0\u0085y\ud800z\r\nü🙈\t' } })],
    });
    expect(one.ruleId).toBe('a\ufffd[1m');
    expect(one.message).toBe('x\ufffd\ufffdy\ufffdz\nü🙈');
    const long = onlyIn({ results: [result({ message: { text: '🙈'.repeat(5_000) } })] });
    expect(long.message.length).toBeLessThanOrEqual(4_001);
    expect(Buffer.from(long.message).toString()).toBe(long.message);
  });

  test('more problems than are taken are counted', () => {
    const content = log({ results: Array.from({ length: 12 }, () => result()) });
    expect(readSarif(content, { problemLimit: 10 })).toMatchObject({ omitted: 2, problems: { length: 10 } });
  });

  test('a byte order mark before it is no harm', () => {
    expect(problemsIn(`\ufeff${log({ results: [result()] })}`)).toHaveLength(1);
  });
});

describe('U4a: a malformed result is an error with its reason', () => {
  test.each([
    ['', 'reported nothing'],
    ['Segmentation fault', 'reported something that is not JSON'],
    ['{"version":"2.1.0","runs":[', 'reported something that is not JSON'],
    ['[]', 'reported something that is not SARIF 2.1.0: the whole of it: it is not a JSON object'],
    ['{"runs":[]}', 'reported something that is not SARIF 2.1.0: version: it is not 2.1.0'],
    ['{"version":"2.0.0","runs":[]}', 'reported something that is not SARIF 2.1.0: version: it is not 2.1.0'],
    ['{"version":"2.1.0"}', 'reported something that is not SARIF 2.1.0: runs: it is missing'],
    [log({ tool: {} }), 'reported something that is not SARIF 2.1.0: runs.0.tool.driver: it is missing'],
    [log({ results: [{}] }), 'reported something that is not SARIF 2.1.0: runs.0.results.0.message: it is missing'],
  ])('%s', (content, error) => {
    expect(errorIn(content)).toBe(error);
  });

  test.each([
    ['a level', result({ level: 'fatal' }), /results\.0\.level: /],
    ['a line', result({ locations: at('a', { startLine: 0 }) }), /startLine: /],
    ['a huge line', result({ locations: at('a', { startLine: 2 ** 40 }) }), /startLine: /],
    ['half a line', result({ locations: at('a', { startLine: 1.5 }) }), /startLine: /],
    ['a path', result({ locations: at(7 as never) }), /artifactLocation\.uri: it is not a string/],
  ])('%s', (_, one, error) => {
    expect(errorIn(log({ results: [one] }))).toMatch(error);
  });

  test('a tool that says it failed has failed, whatever it found', () => {
    const invocations = [
      {
        executionSuccessful: false,
        toolExecutionNotifications: [{ level: 'error', message: { text: 'no\u001b config' } }],
      },
    ];
    expect(errorIn(log({ invocations, results: [result()] }))).toBe('reported that lint failed: no\ufffd config');
    expect(errorIn(log({ invocations: [{ executionSuccessful: false }] }))).toBe('reported that lint failed');
  });

  test('nothing that is JSON makes it throw', () => {
    const anything = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(null, '2.1.0', 'a.js', 1, -1, true),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(...'version runs tool driver name results message text locations rules __proto__'.split(' ')),
          tie('value'),
        ),
      ),
    })).value;
    fc.assert(
      fc.property(anything, fc.boolean(), (value, inRun) => {
        readSarif(inRun ? log({ results: [value], artifacts: value }) : JSON.stringify(value));
      }),
      { numRuns: 500 },
    );
  });
});

describe('U4a: paths are normalised and kept inside the tree', () => {
  test.each([
    ['a.js', 'a.js'],
    ['./src//a.js', 'src/a.js'],
    ['src/../b.js', 'b.js'],
    ['a%20b.js', 'a b.js'],
    ['100%.js', '100%.js'],
    ['/tree/src/a.js', 'src/a.js'],
    ['file:///tree/src/a.js', 'src/a.js'],
    ['file:/tree/a.js', 'a.js'],
    ['file://localhost/tree/a.js', 'a.js'],
    ['/real/tree/a.js', 'a.js'],
    ['/tree/../tree/a.js', 'a.js'],
    ['../a.js', null],
    ['src/../../a.js', null],
    ['%2e%2e/a.js', null],
    ['/tree/../etc/passwd', null],
    ['/etc/passwd', null],
    ['/treehouse/a.js', null],
    ['file:///etc/passwd', null],
    ['file://host/tree/a.js', null],
    ['https://example.com/a.js', null],
    ['C:/a.js', null],
    ['/tree', null],
    ['.', null],
    ['', null],
    ['a%00b', null],
  ])('%s', (uri, path) => {
    expect(pathInTree({ uri }, {}, ['/tree', '/real/tree'])).toBe(path);
  });

  test('a path longer than any file system has is none', () => {
    expect(pathInTree({ uri: 'x'.repeat(5_000) }, {}, [])).toBeNull();
  });

  test('whatever the location is', () => {
    const piece = fc.constantFrom('..', '.', 'a', 'tree', '', '%2e%2e', '%2f', 'file:', 'x y');
    const uri = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('/'));
    fc.assert(
      fc.property(uri, uri, (one, base) => {
        const path = pathInTree({ uri: one, uriBaseId: 'B' }, { B: { uri: base, uriBaseId: 'B' } }, ['/tree']);
        expect(path === null || !/^\/|(^|\/)\.{0,2}(\/|$)/.test(path)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
