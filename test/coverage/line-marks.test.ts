import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addHits, type LineHits } from '../../src/coverage/collected-lines.ts';
import { LineMarks } from '../../src/coverage/line-marks.ts';

test('U5: marks of lines are which there are and whether they ran, wherever they lie', () => {
  const near = fc.integer({ min: 1, max: 70 });
  const far = fc.integer({ min: 2_147_483_600, max: 2_147_483_647 });
  const given = fc.array(fc.tuple(fc.oneof(near, far), fc.nat({ max: 3 })), { maxLength: 60 });
  fc.assert(
    fc.property(given, (lines) => {
      const marks = new LineMarks();
      const all: LineHits = new Map();
      for (const [number, hits] of lines) {
        addHits(marks, number, hits);
        addHits(all, number, hits);
      }
      const wanted = new Map([...all].map(([number, hits]) => [number, Math.min(hits, 1)]));
      expect(new Map([...marks])).toEqual(wanted);
      expect([...marks.values()].sort()).toEqual([...wanted.values()].sort());
      expect(marks.size).toBe(wanted.size);
      for (const number of wanted.keys()) expect(marks.get(number)).toBe(wanted.get(number));
      expect(marks.get(71)).toBeUndefined();
    }),
  );
});
