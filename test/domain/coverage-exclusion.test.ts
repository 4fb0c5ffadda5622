import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exclusion, globProblem } from '../../src/domain/coverage-exclusion.ts';

const FILES = [
  'index.js',
  'lib/index.js',
  'lib/deep/er/index.js',
  'lib/.hidden/a.js',
  'vendor/a.go',
  'vendor/b/c.go',
  'app/vendor/a.go',
  'vendored.go',
  'app/[id]/page.tsx',
  'app/i/page.tsx',
  'app/(shop)/page.tsx',
  'a b/ü.js',
];

describe('the paths that are left out of the coverage', () => {
  test.each<[string[], string[]]>([
    [[], []],
    [['*.js'], ['index.js']],
    [['**/*.js'], ['index.js', 'lib/index.js', 'lib/deep/er/index.js', 'lib/.hidden/a.js', 'a b/ü.js']],
    [['vendor'], ['vendor/a.go', 'vendor/b/c.go']],
    [['vendor/'], ['vendor/a.go', 'vendor/b/c.go']],
    [['vendor/**'], ['vendor/a.go', 'vendor/b/c.go']],
    [['vendor/*'], ['vendor/a.go', 'vendor/b/c.go']],
    [['vendor/*.go'], ['vendor/a.go']],
    [['./vendor'], ['vendor/a.go', 'vendor/b/c.go']],
    [['vendor/a.go'], ['vendor/a.go']],
    [['vendor/a.go/'], []],
    [['**/vendor'], ['vendor/a.go', 'vendor/b/c.go', 'app/vendor/a.go']],
    [['vendor*'], ['vendor/a.go', 'vendor/b/c.go', 'vendored.go']],
    [['VENDOR'], []],
    [['lib/*'], ['lib/index.js', 'lib/deep/er/index.js', 'lib/.hidden/a.js']],
    [['lib/**/index.js'], ['lib/index.js', 'lib/deep/er/index.js']],
    [['{lib,app}/**'], FILES.filter((file) => /^(lib|app)\//.test(file))],
    [['app/[id]/*'], ['app/i/page.tsx']],
    [['app/[!d]/*'], ['app/i/page.tsx']],
    [['app/\\[id\\]/*'], ['app/[id]/page.tsx']],
    [['app/(shop)'], ['app/(shop)/page.tsx']],
    [['*/?.js'], ['a b/ü.js']],
    [['#x', 'index.js'], ['index.js']],
    [['**'], FILES],
  ])('U5: %j leaves out %j', (globs, expected) => {
    for (const glob of globs) expect(globProblem(glob)).toBeNull();
    expect(FILES.filter(exclusion(globs))).toEqual(expected);
  });

  test.each([
    '',
    '  ',
    '/vendor',
    '!keep.js',
    '../other',
    'a/../b',
    'a/./b',
    '.',
    'a//b',
    '/',
    './',
    'src\\gen\\*.ts',
    'a\nb',
    'x'.repeat(1_025),
    '{a,b}'.repeat(7),
    '{1..1000}/*',
  ])('U5: %j is refused', (glob) => {
    expect(globProblem(glob)).not.toBeNull();
  });

  test('U5: whatever a glob and a path are, they are matched within moments', () => {
    const hostile = [
      '*a'.repeat(200),
      `${'*[ab]'.repeat(100)}c`,
      `${'**/a*/'.repeat(50)}c`,
      `${'**/*/'.repeat(100)}c`,
      '(a+)+c',
      '+(+(a))c',
      '[[:alpha:]]*'.repeat(50),
    ];
    const paths = [`${'a'.repeat(4_000)}!`, `${'a/'.repeat(1_000)}!`, `${'ab/'.repeat(1_000)}b`];
    const startedAt = performance.now();
    for (const path of paths) exclusion(hostile.filter((glob) => globProblem(glob) === null))(path);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  test('U5: a path that is named without wildcards leaves out itself and what is in it, and nothing else', () => {
    const path = fc.array(fc.stringMatching(/^[a-z0-9_.-]{1,3}$/), { minLength: 1, maxLength: 4 });
    const folder = path
      .filter((parts) => !parts.some((part) => part === '.' || part === '..'))
      .map((parts) => parts.join('/'));
    fc.assert(
      fc.property(folder, folder, (glob, file) => {
        expect(globProblem(glob)).toBeNull();
        expect(exclusion([glob])(file)).toBe(file === glob || file.startsWith(`${glob}/`));
        expect(exclusion([glob])(`${glob}/${file}`)).toBe(true);
      }),
    );
  });
});
