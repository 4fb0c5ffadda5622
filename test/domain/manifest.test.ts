import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManifestError } from '../../src/domain/manifest-error.ts';
import { MANIFEST_LIMIT, type Manifest, parseManifest } from '../../src/domain/manifest.ts';

const parse = (text: string | Uint8Array): Manifest =>
  parseManifest(typeof text === 'string' ? new TextEncoder().encode(text) : text);

/** `line:column message` of what is wrong, without the name of the file. */
function faultOf(text: string | Uint8Array): string {
  try {
    parse(text);
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    const where = `.forgeflow.yaml, line ${error.line}, column ${error.column}: `;
    expect(error.message.startsWith(where)).toBe(true);
    return `${error.line}:${error.column} ${error.message.slice(where.length)}`;
  }
  return 'nothing';
}

const under = (...lines: string[]): string => ['version: 1', ...lines, ''].join('\n');

describe('the manifest', () => {
  test('U4: what it may say is read, the defaults merged into each check', () => {
    const manifest = parse(`
version: 1
coverage:
  min_percent: 94.5   # decimals are fine
  exclude_paths:
    - vendor/
    - '**/*.gen.ts'
defaults:
  env:
    CI: true
    LEVEL: 1.10
  secrets:
    - { name: NPM_RC, path: ~/.npmrc }
    - { name: NETRC, path: ~/.netrc }
checks:
  - plugin: eslint
  - plugin: acme/golangci-lint:v0.1
    env: { LEVEL: 0x1F, GOPRIVATE: gitlab.example.com/acme, EMPTY: '' }
    secrets:
      - name: GO_NETRC
        path: ~/.netrc
      - { name: GIT_CONFIG, path: ~/.config/git/config }
`);
    expect(manifest).toEqual({
      coverage: { minPercent: 94.5, excludePaths: ['vendor/', '**/*.gen.ts'] },
      checks: [
        {
          plugin: 'eslint',
          env: { CI: 'true', LEVEL: '1.10' },
          secrets: [
            { name: 'NPM_RC', path: '~/.npmrc' },
            { name: 'NETRC', path: '~/.netrc' },
          ],
        },
        {
          plugin: 'acme/golangci-lint:v0.1',
          env: { CI: 'true', LEVEL: '0x1F', GOPRIVATE: 'gitlab.example.com/acme', EMPTY: '' },
          secrets: [
            { name: 'NPM_RC', path: '~/.npmrc' },
            { name: 'GO_NETRC', path: '~/.netrc' },
            { name: 'GIT_CONFIG', path: '~/.config/git/config' },
          ],
        },
      ],
    });
  });

  test.each([
    ['the least of it', 'version: 1'],
    ['with a byte order mark, Windows line ends and an end of the document', '\ufeff# ours\r\nversion: 1\r\n...\r\n'],
    ['as JSON', '{"version": 1}'],
  ])('U4: %s asks for nothing', (_, text) => {
    expect(parse(text)).toEqual({ coverage: { minPercent: null, excludePaths: [] }, checks: [] });
  });

  test.each([0, 100, 0.5, 94.999])('U5: %d is a percentage to require', (percent) => {
    expect(parse(under(`coverage: { min_percent: ${percent} }`)).coverage.minPercent).toBe(percent);
  });

  test.each<[string, string, string]>([
    // What a person gets wrong about the keys.
    [
      'an unknown key',
      under('coverages: {}'),
      '2:1 coverages: there is no such key; there are: version, coverage, checks, defaults',
    ],
    [
      'an unknown key within a section',
      under('coverage:', '  min: 3'),
      '3:3 coverage.min: there is no such key; there are: min_percent, exclude_paths',
    ],
    [
      'an unknown key of a check',
      under('checks:', '  - plugin: a', '    envs: {}'),
      '4:5 checks[0].envs: there is no such key; there are: plugin, env, secrets',
    ],
    [
      'a key twice',
      under('coverage:', '  min_percent: 1', '  min_percent: 2'),
      '4:3 coverage.min_percent: the key is there twice',
    ],
    ['a section twice', under('checks: []', 'checks: []'), '3:1 checks: the key is there twice'],
    ['a variable twice', under('defaults:', '  env: {A: 1, A: 2}'), '3:15 defaults.env.A: the key is there twice'],
    ['no version', 'checks: []', '1:1 version: it is missing'],
    ['another version', 'version: 2', '1:10 version: it is not 1, which is the only version there is'],
    ['the version as text', 'version: "1"', '1:10 version: it is not 1, which is the only version there is'],
    ['the first of two faults', under('checks: 3', 'coverage: 4'), '2:9 checks: it is not a list'],
    ['no mapping', '- a', '1:1 it is not a mapping of keys to values'],
    ['a text', 'hello', '1:1 it is not a mapping of keys to values'],
    ['nothing', '', '1:1 the file is empty; the least that stands in it is "version: 1"'],
    ['only a comment', '# later\n', '1:1 the file is empty; the least that stands in it is "version: 1"'],
    ['a section without content', under('checks:'), '2:1 checks: it has no value'],
    ['a property of all objects', under('__proto__: {}'), '2:1 __proto__: there is no such key'],
    [
      'another such property',
      under('constructor: {}'),
      '2:1 constructor: there is no such key; there are: version, coverage, checks, defaults',
    ],
    ['a key that is a list', under('? [a]', ': 1'), '2:3 it has a key that is not plain text'],
    ['a key that is left out', under(': 1'), '2:1 it has a key that is not plain text'],
    // Coverage.
    [
      'a percentage as text',
      under('coverage: { min_percent: 90% }'),
      '2:26 coverage.min_percent: it is not a number from 0 to 100 (without a percent sign)',
    ],
    ['a negative percentage', under('coverage:', '  min_percent: -1'), '3:16 coverage.min_percent: it is below 0'],
    [
      'a percentage above all',
      under('coverage:', '  min_percent: 100.1'),
      '3:16 coverage.min_percent: it is above 100',
    ],
    [
      'no number',
      under('coverage:', '  min_percent: .nan'),
      '3:16 coverage.min_percent: it is not a number from 0 to 100 (without a percent sign)',
    ],
    [
      'no end',
      under('coverage:', '  min_percent: .inf'),
      '3:16 coverage.min_percent: it is not a number from 0 to 100 (without a percent sign)',
    ],
    ['a percentage without value', under('coverage:', '  min_percent:'), '3:3 coverage.min_percent: it has no value'],
    [
      'one glob instead of a list',
      under('coverage:', '  exclude_paths: vendor'),
      '3:18 coverage.exclude_paths: it is not a list',
    ],
    [
      'a glob that is a number',
      under('coverage:', '  exclude_paths:', '    - 3'),
      '4:7 coverage.exclude_paths[0]: it is not text (write it in quotes)',
    ],
    [
      'a glob without value',
      under('coverage:', '  exclude_paths:', '    - a', '    -'),
      '5:6 coverage.exclude_paths[1]: it has no value',
    ],
    [
      'a glob from the root',
      under('coverage:', '  exclude_paths: [/a]'),
      '3:19 coverage.exclude_paths[0]: it begins with a slash, and paths here begin at the root of the repository without one',
    ],
    [
      'a glob out of the repository',
      under('coverage:', '  exclude_paths: [a, ../b]'),
      '3:22 coverage.exclude_paths[1]: it has . or .. as a folder',
    ],
    [
      'a glob that begins with an asterisk',
      under('coverage:', '  exclude_paths:', '    - *.js'),
      '4:7 coverage.exclude_paths[0]: *.js would be an alias of YAML; text that begins with an asterisk has to stand in quotes',
    ],
    [
      'a glob taken back in',
      under('coverage:', '  exclude_paths:', '    - !keep.js'),
      '4:7 coverage.exclude_paths[0]: there is a tag (!keep.js); text that begins with ! has to stand in quotes',
    ],
    [
      'a hundred and one globs',
      under(`coverage: { exclude_paths: [${'a, '.repeat(101)}] }`),
      '2:28 coverage.exclude_paths: these are more than 100 globs',
    ],
    // Checks.
    ['a check without plugin', under('checks:', '  - env: {}'), '3:5 checks[0].plugin: it is missing'],
    ['a check by its name alone', under('checks: [eslint]'), '2:10 checks[0]: it is not a mapping of keys to values'],
    [
      'a plugin that is a path',
      under('checks: [{ plugin: ../x }]'),
      '2:20 checks[0].plugin: it is not the name of a plugin',
    ],
    [
      'a plugin with an argument',
      under('checks: [{ plugin: rm -rf }]'),
      '2:20 checks[0].plugin: it is not the name of a plugin',
    ],
    [
      'a plugin twice',
      under('checks:', '  - plugin: a', '  - plugin: a'),
      '4:13 checks[1].plugin: another check runs this plugin already',
    ],
    [
      'fifty-one checks',
      under('checks:', ...Array.from({ length: 51 }, (_, i) => `  - plugin: p${i}`)),
      '3:3 checks: these are more than 50 checks',
    ],
    // Variables.
    ['a variable without value', under('defaults:', '  env:', '    A:'), '4:5 defaults.env.A: it has no value'],
    [
      'a variable that is a list',
      under('defaults:', '  env:', '    A: [1]'),
      '4:8 defaults.env.A: it is not text (write it in quotes)',
    ],
    [
      'variables as a list',
      under('defaults:', '  env:', '    - A=1'),
      '4:5 defaults.env: it is not a mapping of keys to values',
    ],
    [
      'a variable with a hyphen',
      under('defaults:', '  env:', '    A-B: 1'),
      '4:5 defaults.env.A-B: a variable is named by letters, digits and _, not by a digit first',
    ],
    [
      'a variable of ours',
      under('checks:', '  - plugin: a', '    env: { FORGEFLOW_X: 1 }'),
      '4:12 checks[0].env.FORGEFLOW_X: this variable is set for every check, and cannot be changed',
    ],
    [
      'a variable with a NUL',
      under('defaults:', '  env:', '    A: "x\\0"'),
      '4:8 defaults.env.A: it has a NUL character in it',
    ],
    [
      'a hundred and one variables',
      under(`defaults: { env: {${Array.from({ length: 101 }, (_, i) => `V${i}: x`).join(', ')}} }`),
      '2:18 defaults.env: these are more than 100 variables',
    ],
    // Secrets.
    [
      'a secret by its name alone',
      under('defaults:', '  secrets: [NETRC]'),
      '3:13 defaults.secrets[0]: it is not a mapping of keys to values',
    ],
    [
      'a secret without path',
      under('defaults:', '  secrets: [{ name: A }]'),
      '3:13 defaults.secrets[0].path: it is missing',
    ],
    [
      'a secret with a wrong name',
      under('defaults:', '  secrets: [{ name: "a b", path: ~/a }]'),
      '3:21 defaults.secrets[0].name: a secret is named by letters, digits, _ and -',
    ],
    [
      'a secret out of the home folder',
      under('defaults:', '  secrets: [{ name: A, path: ~/../x }]'),
      '3:30 defaults.secrets[0].path: it is not the path of a file in the home folder of the check, as in ~/.npmrc',
    ],
    [
      'a secret anywhere',
      under('defaults:', '  secrets: [{ name: A, path: /etc/passwd }]'),
      '3:30 defaults.secrets[0].path: it is not the path of a file in the home folder of the check, as in ~/.npmrc',
    ],
    [
      'a path for two secrets',
      under('defaults:', '  secrets:', '    - { name: A, path: ~/a }', '    - { name: B, path: ~/a }'),
      '5:24 defaults.secrets[1].path: another secret is mounted at ~/a already',
    ],
    [
      'a file that is a folder too',
      under(
        'defaults:',
        '  secrets: [{ name: A, path: ~/a }]',
        'checks:',
        '  - plugin: p',
        '    secrets: [{ name: B, path: ~/a/b }]',
      ),
      '6:5 checks[0].secrets: with those of defaults: ~/a/b and ~/a cannot both be files',
    ],
    // YAML.
    ['brackets without end', under('checks:', `  - ${'['.repeat(65_000)}`), '3:21 it is nested too deeply'],
    ['mappings without end', under(`checks: ${'{a: '.repeat(16_000)}`), '2:73 it is nested too deeply'],
    ['lists without end', under('checks:', '- '.repeat(32_000)), '3:33 it is nested too deeply'],
    ['keys of keys without end', under('? '.repeat(32_000)), '2:33 it is nested too deeply'],
    [
      'indentation without end',
      under(...Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`)),
      '2:1 a: there is no such key; there are: version, coverage, checks, defaults',
    ],
    [
      'a tab',
      under('coverage:', '\tmin_percent: 3'),
      '3:1 there is a tab in the indentation, where YAML takes only spaces',
    ],
    [
      'a second document',
      'version: 1\n---\nversion: 1\n',
      '2:1 a second YAML document begins here, and there is to be one only',
    ],
    [
      'an anchor',
      under('defaults: &d { env: {} }'),
      '2:11 defaults: there is an anchor (&d), which this file does not have',
    ],
    [
      'an alias',
      under('defaults: *d'),
      '2:11 defaults: *d would be an alias of YAML; text that begins with an asterisk has to stand in quotes',
    ],
    ['a merge key', under('defaults: { <<: {} }'), '2:13 defaults.<<: there is no such key; there are: env, secrets'],
    [
      'a tag',
      under('defaults: !!map {}'),
      '2:11 defaults: there is a tag (tag:yaml.org,2002:map); text that begins with ! has to stand in quotes',
    ],
    ['a directive', '%YAML 1.1\n---\nversion: 1\n', '1:1 it has a directive of YAML (%), and needs none'],
    [
      'a colon in a value',
      under('defaults: a: b'),
      '2:11 a value with a colon in it has to stand in quotes, and a section on lines of its own',
    ],
    [
      'an open quote',
      under('defaults: "a'),
      '3:1 something is missing here: a closing quote or bracket, a comma, or a colon after a key',
    ],
    [
      'an open bracket',
      under('checks: ['),
      '3:1 the indentation does not fit what stands above it, or a bracket is not closed',
    ],
    [
      'an indentation that fits nothing',
      under('coverage:', '  min_percent: 3', ' exclude_paths: []'),
      '4:1 the indentation does not fit what stands above it, or a bracket is not closed',
    ],
    ['a reserved character', under('checks: @x'), '2:9 a value that begins with this character has to stand in quotes'],
    [
      'a conflict of git',
      'version: 1\n<<<<<<< HEAD\nchecks: []\n',
      '2:1 a key has to stand on one line, with a colon after it',
    ],
  ])('U4: %s is told by line and column', (_, text, fault) => {
    expect(faultOf(text)).toBe(fault);
  });

  test('U4: what is no UTF-8 is told by line and column', () => {
    const bytes = new Uint8Array([...new TextEncoder().encode('version: 1\n# grün, '), 0xfc, 0x0a]);
    expect(faultOf(bytes)).toBe('2:9 the file is not text in UTF-8');
    const utf16 = new Uint8Array(Buffer.from('\ufeffversion: 1\n', 'utf16le'));
    expect(faultOf(utf16)).toBe('1:1 the file is not text in UTF-8');
  });

  test('U4: 64 KiB are the most', () => {
    const manifest = 'version: 1\n#';
    expect(parse(manifest.padEnd(MANIFEST_LIMIT, 'x')).checks).toEqual([]);
    expect(faultOf(manifest.padEnd(MANIFEST_LIMIT + 1, 'x'))).toBe(
      '1:1 the file is 65537 bytes long; 65536 (64 KiB) at most',
    );
  });

  test.each<[string, string]>([
    ['keys', Array.from({ length: 8_000 }, (_, i) => `k${i}: 1`).join('\n')],
    ['braces of a glob', under(`coverage: { exclude_paths: ["${'{a,b}'.repeat(200)}"] }`)],
    ['aliases of aliases', 'a: &a [x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\n'],
    ['escapes of a terminal', under('"\\e[2J\\u0007": 1')],
    ['a long key', under(`${'k'.repeat(900)}: 1`)],
  ])('U4: %s without end are refused soon, in a short sentence', (_, text) => {
    const fault = faultOf(text);
    expect(fault).not.toBe('nothing');
    expect(fault.length).toBeLessThan(250);
    expect(fault).not.toMatch(/\p{Cc}/u);
  });

  test('U4: whatever the bytes are, it is a manifest or a fault with a place within the text', () => {
    const pieces = fc.constantFrom(
      ...[
        'version: 1',
        'checks:',
        'coverage:',
        '  min_percent: ',
        '  - plugin: a',
        '    env: ',
        '{',
        '}',
        '[',
        ']',
        ': ',
      ],
      ...[
        '"',
        "'",
        '\n',
        '\t',
        '  ',
        '- ',
        '&a ',
        '*a',
        '!x ',
        '|',
        '>',
        '#',
        '---',
        '...',
        '?',
        '%',
        '\u0000',
        '9',
        '\r',
        'ü',
      ],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => {
        const text = parts.join('');
        try {
          parse(text);
        } catch (error) {
          if (!(error instanceof ManifestError)) throw error;
          const lines = text.split('\n');
          expect(error.line).toBeGreaterThanOrEqual(1);
          expect(error.line).toBeLessThanOrEqual(lines.length);
          expect(error.column).toBeGreaterThanOrEqual(1);
          expect(error.column).toBeLessThanOrEqual((lines[error.line - 1]?.length ?? 0) + 1);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('U4: the variables of a check are those of the defaults, with its own instead where it has the same', () => {
    const env = fc.dictionary(
      fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,3}$/).filter((name) => name !== 'PATH' && name !== 'HOME'),
      fc.string(),
      { maxKeys: 8 },
    );
    fc.assert(
      fc.property(env, env, (defaults, own) => {
        const text = JSON.stringify({ version: 1, defaults: { env: defaults }, checks: [{ plugin: 'p', env: own }] });
        const written = Object.values({ ...defaults, ...own }).some((value) => value.includes('\0'));
        fc.pre(!written && text.length < MANIFEST_LIMIT);
        expect(parse(text).checks[0]?.env).toEqual({ ...defaults, ...own });
      }),
      { numRuns: 100 },
    );
  });
});
