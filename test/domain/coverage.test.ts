import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeCoverage, percentOf, totalsOf } from '../../src/domain/coverage.ts';

describe('the coverage of lines', () => {
  test('U5: totals are those of all files; no lines are 0 percent', () => {
    expect(totalsOf([])).toEqual({ covered: 0, total: 0 });
    expect(percentOf({ covered: 0, total: 0 })).toBe(0);
    const files = [
      { covered: 1, total: 3 },
      { covered: 0, total: 0 },
      { covered: 1, total: 1 },
    ];
    expect(percentOf(totalsOf(files))).toBe(50);
    expect(percentOf({ covered: 1, total: 3 })).toBe(100 / 3);
  });

  test.each<[number, number, number | null, string]>([
    [33, 35, null, '94.29% covered'],
    [33, 35, 94, '94.29% covered'],
    [33, 35, 95, '94.29% covered (at least 95% is required)'],
    [33, 35, 94.29, '94.28% covered (at least 94.29% is required)'],
    [9_429, 10_000, 94.29, '94.29% covered'],
    [94_999, 100_000, 95, '94.99% covered (at least 95% is required)'],
    [94_999, 100_000, null, '95% covered'],
    [94_985, 100_000, 94.99, '94.98% covered (at least 94.99% is required)'],
    [949_999, 1_000_000, 94.9999, '95% covered'],
    [949_998, 1_000_000, 94.9999, '94.99% covered (at least 94.9999% is required)'],
    [99_999, 100_000, 100, '99.99% covered (at least 100% is required)'],
    [99_999, 100_000, null, '99.99% covered'],
    [19, 20, 95, '95% covered'],
    [189, 200, 95, '94.5% covered (at least 95% is required)'],
    [7, 7, 100, '100% covered'],
    [0, 0, null, '0% covered'],
    [0, 0, 0, '0% covered'],
    [0, 0, 80, '0% covered (at least 80% is required)'],
    [0, 9, 0.5, '0% covered (at least 0.5% is required)'],
    [1, 100_000, 50, '0% covered (at least 50% is required)'],
  ])('U5: %i of %i lines, %s percent required: %s', (covered, total, minPercent, text) => {
    const verdict = judgeCoverage({ covered, total }, minPercent);
    expect(verdict.text).toBe(text);
    expect(verdict.isEnough).toBe(!text.includes('required'));
  });

  test('U5: what is required is compared unrounded, and the figure never looks as if it were reached when it is not', () => {
    const lines = fc
      .integer({ min: 1, max: 100_000 })
      .chain((total) => fc.record({ total: fc.constant(total), covered: fc.integer({ min: 0, max: total }) }));
    // Hundredths, so that whole numbers tell what is right.
    fc.assert(
      fc.property(lines, fc.integer({ min: 0, max: 10_000 }), (totals, hundredths) => {
        const { isEnough, text, percent } = judgeCoverage(totals, hundredths / 100);
        expect(isEnough).toBe(totals.covered * 10_000 >= hundredths * totals.total);
        const figure = Number(/^([\d.]+)% covered/.exec(text)?.[1]);
        expect(Math.abs(figure - percent)).toBeLessThanOrEqual(0.01);
        if (!isEnough) expect(figure).toBeLessThan(hundredths / 100);
        if (figure === 100) expect(totals.covered).toBe(totals.total);
      }),
    );
  });
});
