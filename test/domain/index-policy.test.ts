import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { indexedContent, INDEXED_CONTENT_LIMIT } from '../../src/domain/index-policy.ts';

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
