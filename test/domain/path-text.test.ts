import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pathText } from '../../src/domain/path-text.ts';

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
