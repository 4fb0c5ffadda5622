import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  entryKind,
  indexedContent,
  INDEXED_CONTENT_LIMIT,
  INDEXED_FILES_LIMIT,
  limitFiles,
  pathText,
  skipsContent,
} from '../../src/domain/index-policy.ts';

describe('entries of a tree', () => {
  test.each([
    ['100644', 'file'],
    ['100755', 'file'],
    ['100664', 'file'],
    ['120000', 'symlink'],
    ['160000', 'submodule'],
    ['040000', 'submodule'],
  ])('J10: %s is a %s', (mode, kind) => {
    expect(entryKind(mode)).toBe(kind);
  });

  test.each([
    [{ kind: 'file', size: 0 }, null],
    [{ kind: 'file', size: INDEXED_CONTENT_LIMIT }, null],
    [{ kind: 'file', size: INDEXED_CONTENT_LIMIT + 1 }, 'too_large'],
    [{ kind: 'symlink', size: 9 }, 'symlink'],
    [{ kind: 'submodule', size: null }, 'submodule'],
  ] as const)('J10: %j is not read because it is %s', (entry, reason) => {
    expect(skipsContent(entry)).toBe(reason);
  });

  test('J10: of more than 20,000 files the first are indexed, and the index says so', () => {
    const files = Array.from({ length: INDEXED_FILES_LIMIT + 1 }, (_, i) => i);
    expect(limitFiles(files.slice(1))).toEqual({ indexed: files.slice(1), truncated: false });
    expect(limitFiles(files)).toEqual({ indexed: files.slice(0, 20_000), truncated: true });
    expect(limitFiles([])).toEqual({ indexed: [], truncated: false });
  });
});

const pointer = (rest = 'oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n') =>
  `version https://git-lfs.github.com/spec/v1\n${rest}`;

describe('contents', () => {
  test.each<[string, Uint8Array, object]>([
    ['text', Buffer.from('Über 1200 °C 🔥\n'), { text: 'Über 1200 °C 🔥\n' }],
    ['nothing', Buffer.from(''), { text: '' }],
    ['invalid UTF-8', Buffer.from([0x61, 0xff, 0x62, 0xc3]), { text: 'a\ufffdb\ufffd' }],
    ['a byte order mark', Buffer.from('\ufeffa'), { text: 'a' }],
    ['a NUL', Buffer.from('a\u0000b'), { pathOnly: 'binary' }],
    ['UTF-16', Buffer.from('hello', 'utf16le'), { pathOnly: 'binary' }],
    ['the largest', Buffer.alloc(INDEXED_CONTENT_LIMIT, 'a'), { text: 'a'.repeat(INDEXED_CONTENT_LIMIT) }],
    ['larger', Buffer.alloc(INDEXED_CONTENT_LIMIT + 1, 'a'), { pathOnly: 'too_large' }],
    ['an LFS pointer', Buffer.from(pointer()), { pathOnly: 'lfs_pointer' }],
    [
      'an LFS pointer with an extension',
      Buffer.from(pointer('ext-0-foo sha256:ab\noid sha256:cd\nsize 1\n')),
      { pathOnly: 'lfs_pointer' },
    ],
    ['an old LFS pointer', Buffer.from(pointer().replace('git-lfs', 'hawser')), { pathOnly: 'lfs_pointer' }],
    ['a text on LFS', Buffer.from(`See:\n${pointer()}`), { text: `See:\n${pointer()}` }],
    ['half a pointer', Buffer.from(pointer('')), { text: pointer('') }],
    ['a pointer that is too long', Buffer.from(pointer() + '#'.repeat(1_000)), { text: pointer() + '#'.repeat(1_000) }],
  ])('J10: %s', (_, bytes, expected) => {
    expect(indexedContent(bytes)).toEqual(expected);
  });

  test('J10: any bytes give a text that Postgres takes, or none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const content = indexedContent(bytes);
        expect('pathOnly' in content).toBe(bytes.includes(0));
        if ('text' in content) expect(Buffer.from(content.text).toString()).toBe(content.text);
      }),
    );
  });
});

describe('paths', () => {
  test.each([
    ['src/kiln.ts', Buffer.from('src/kiln.ts')],
    ['a\nb "c" \\d', Buffer.from('a\nb "c" \\d')],
    ['kůň/🔥', Buffer.from('kůň/🔥')],
    ['\ufeffa', Buffer.from('\ufeffa')],
    ['"caf\\351"', Buffer.from('café', 'latin1')],
    ['"a\\012\\"\\\\\\377"', Buffer.from([0x61, 0x0a, 0x22, 0x5c, 0xff])],
  ])('J10: %j', (text, bytes) => {
    expect(pathText(bytes)).toBe(text);
  });

  test('J10: two paths that are not UTF-8 never become one', () => {
    const bytes = fc.array(fc.constantFrom(0x61, 0x22, 0x5c, 0xff, 0xfe, 0x33, 0x37, 0x0a, 0xc3, 0xa9), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(bytes, bytes, (one, other) => {
        const [first, second] = [Buffer.from(one), Buffer.from(other)];
        fc.pre(
          Buffer.from(first.toString()).compare(first) !== 0 && Buffer.from(second.toString()).compare(second) !== 0,
        );
        expect(pathText(first) === pathText(second)).toBe(first.equals(second));
      }),
      { numRuns: 2_000 },
    );
  });
});
