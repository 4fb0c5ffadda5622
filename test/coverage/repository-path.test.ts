import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type PathHints, repositoryPaths } from '../../src/coverage/repository-path.ts';

const ROOT = '/builds/acme/shop';
const files = (...paths: string[]): PathHints => ({ files: new Set(paths) });

describe('the path of a file in the repository', () => {
  test.each<[string, string[], PathHints, string]>([
    // By the name alone.
    ['src/a.js', [], {}, 'src/a.js'],
    ['./src//a.js', [], {}, 'src/a.js'],
    ['src\\deep\\a.cs', [], {}, 'src/deep/a.cs'],
    ['src/x/../a.js', [], {}, 'src/a.js'],
    ['../shared/a.js', [], {}, '../shared/a.js'],
    ['/usr/include/c++/12/vector', [], {}, '/usr/include/c++/12/vector'],
    // By the root.
    ['/builds/acme/shop/src/a.c', [], { root: ROOT }, 'src/a.c'],
    ['/builds/acme/shop/src/a.c', [], { root: `${ROOT}/` }, 'src/a.c'],
    ['/builds/acme/shop/build/../src/a.c', [], { root: ROOT }, 'src/a.c'],
    ['/builds/acme/shopping/a.c', [], { root: ROOT }, '/builds/acme/shopping/a.c'],
    ['C:\\work\\shop\\src\\a.cs', [], { root: 'C:\\work\\shop' }, 'src/a.cs'],
    ['src/a.c', [], { root: ROOT }, 'src/a.c'],
    ['/usr/include/vector', ['/usr'], { root: ROOT }, '/usr/include/vector'],
    // By the sources.
    ['src/a.js', [ROOT], { root: ROOT }, 'src/a.js'],
    ['pkg/a.py', [`${ROOT}/src`], { root: ROOT }, 'src/pkg/a.py'],
    ['../lib/a.py', [`${ROOT}/src`], { root: ROOT }, 'lib/a.py'],
    ['pkg/a.py', [`${ROOT}/src`], {}, 'pkg/a.py'],
    ['com/acme/A.java', ['src/main/java'], {}, 'src/main/java/com/acme/A.java'],
    ['src/a.cpp', ['.'], {}, 'src/a.cpp'],
    ['a.go', ['/usr/local/go/src', ROOT], { root: ROOT }, 'a.go'],
    ['A.java', ['src/main/java', 'src/main/kotlin'], {}, 'A.java'],
    ['/builds/acme/shop/src/a.py', [ROOT], {}, 'src/a.py'],
    ['builds/acme/shop/src/A.cs', ['/'], { root: ROOT }, 'src/A.cs'],
    ['builds/acme/shop/src/A.cs', ['/'], {}, 'builds/acme/shop/src/A.cs'],
    ['work\\shop\\src\\A.cs', ['C:\\'], { root: 'C:/work/shop' }, 'src/A.cs'],
    // By the files of the commit.
    ['A.java', ['src/main/java', 'src/main/kotlin'], files('src/main/kotlin/A.java'), 'src/main/kotlin/A.java'],
    ['A.java', ['src/main/java', 'src/main/kotlin'], files('B.java'), 'A.java'],
    ['src/a.cpp', ['build'], files('src/a.cpp'), 'src/a.cpp'],
    ['/home/ci/build-7/src/a.c', [], files('src/a.c', 'a.c'), 'src/a.c'],
    ['/home/ci/build-7/src/a.c', [], files('b.c'), '/home/ci/build-7/src/a.c'],
    ['/home/ci/build-7/src/a.c', [], { ...files('src/a.c'), root: ROOT }, '/home/ci/build-7/src/a.c'],
    ['a.py', ['/home/ci/src', '/home/ci/tests'], files('a.py', 'tests/a.py'), 'tests/a.py'],
    ['home\\ci\\shop\\src\\A.cs', ['D:\\'], files('src/A.cs'), 'src/A.cs'],
  ])('U5: %j with sources %j and %o is %j', (name, sources, hints, path) => {
    expect(repositoryPaths(sources, hints)(name)).toBe(path);
  });

  test('U5: a file below the root is found by each of the ways that tools name it', () => {
    const part = fc.stringMatching(/^[a-z0-9_-]{1,4}$/);
    const folders = fc.array(part, { maxLength: 3 });
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 3 }), folders, (rest, below) => {
        const path = [...below, ...rest].join('/');
        const source = [ROOT, ...below].join('/');
        const known = { files: new Set([path]) };
        for (const hints of [{ root: ROOT }, known, { ...known, root: ROOT }]) {
          expect(repositoryPaths([], hints)(`${ROOT}/${path}`)).toBe(path);
          expect(repositoryPaths([source], hints)(rest.join('/'))).toBe(path);
          expect(repositoryPaths([source.replaceAll('/', '\\')], hints)(rest.join('\\'))).toBe(path);
          expect(repositoryPaths(['/'], hints)(`${ROOT}/${path}`.slice(1))).toBe(path);
          expect(repositoryPaths([], hints)(`./${path}`)).toBe(path);
        }
      }),
    );
  });
});
