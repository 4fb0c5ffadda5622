import { createReadStream } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkCoverage, measureCoverage, parseCoverage } from '../../src/coverage/parse.ts';
import { totalsOf } from '../../src/domain/coverage.ts';

const ROOT = '/builds/acme/shop';
const fixture = (name: string) => createReadStream(new URL(`fixtures/${name}`, import.meta.url));

const CPP = { 'src/basket.cpp': '8/12', 'src/basket.h': '5/5', 'src/main.cpp': '5/5' };
const JS = { 'src/basket.js': '13/18', 'src/pricing/discount.js': '20/22' };
const NYC = { 'lib/basket.js': '9/9', 'lib/discount.js': '5/6' };
const GO = { 'basket.go': '13/18', 'internal/price/price.go': '4/6' };
const PYTHON = { 'shop/__init__.py': '0/0', 'shop/basket.py': '15/19', 'shop/pricing.py': '4/5' };

describe('reports as tools write them', () => {
  // Lines covered and lines in all are what the tool, or for LCOV also genhtml, says of its own report.
  test.each<[string, string, string, Record<string, string>]>([
    ['c8.info', 'lcov', '33/40', JS],
    ['c8.xml', 'cobertura', '33/40', JS],
    ['nyc.info', 'lcov', '14/15', NYC],
    ['nyc.xml', 'cobertura', '14/15', NYC],
    ['coverage-py.info', 'lcov', '19/24', PYTHON],
    ['coverage-py.xml', 'cobertura', '19/24', PYTHON],
    ['coverage-py-sources.xml', 'cobertura', '25/30', { ...PYTHON, 'test_basket.py': '6/6' }],
    ['geninfo-1.info', 'lcov', '18/22', CPP],
    ['lcov-merged.info', 'lcov', '18/22', CPP],
    ['lcov-cobertura.xml', 'cobertura', '18/22', CPP],
    ['gcovr.info', 'lcov', '18/22', CPP],
    ['gcovr.xml', 'cobertura', '18/22', CPP],
    ['llvm-cov.info', 'lcov', '23/28', { 'src/basket.cpp': '11/16', 'src/basket.h': '7/7', 'src/main.cpp': '5/5' }],
    ['gcov2lcov.info', 'lcov', '17/24', GO],
    ['gocover-cobertura.xml', 'cobertura', '17/24', GO],
    ['lcov-2.info', 'lcov', '6/7', { 'src/basket.cpp': '6/7' }],
    ['simplecov-lcov.info', 'lcov', '5/6', { 'lib/basket.rb': '3/4', 'lib/pricing.rb': '2/2' }],
    [
      'jacoco2cobertura.xml',
      'cobertura',
      '3/5',
      { 'src/main/java/com/acme/shop/Basket.java': '3/5', 'src/main/java/com/acme/shop/Line.java': '0/0' },
    ],
  ])('U5: %s (%s) is %s', async (name, format, total, files) => {
    const report = await parseCoverage(fixture(name), { root: ROOT });
    expect(report.format).toBe(format);
    const found = report.files.map(({ path, covered, total }) => [path, `${covered}/${total}`]);
    expect(Object.fromEntries(found)).toEqual(files);
    const sum = totalsOf(report.files);
    expect(`${sum.covered}/${sum.total}`).toBe(total);
    expect(await measureCoverage(fixture(name), { root: ROOT })).toEqual({
      format,
      files: report.files.map(({ lines: _, ...totals }) => totals),
    });
    expect(await checkCoverage(fixture(name))).toBe(format);
  });

  test('U5: coverlet.xml is 6/8, its names without the drive, its classes of one file together', async () => {
    const { files } = await parseCoverage(fixture('coverlet.xml'), { root: 'C:\\builds\\acme\\shop\\' });
    expect(files).toEqual([
      {
        path: 'src/Basket.cs',
        covered: 6,
        total: 8,
        lines: new Map([
          [10, 2],
          [11, 2],
          [12, 2],
          [15, 0],
          [20, 1],
          [21, 1],
          [22, 1],
          [23, 0],
        ]),
      },
    ]);
  });

  test('U5: tests of one file are added up, line by line', async () => {
    const { files } = await parseCoverage(fixture('lcov-2.info'));
    expect([...(files[0]?.lines ?? [])]).toEqual([
      [3, 3],
      [4, 3],
      [5, 7],
      [6, 6],
      [9, 3],
      [11, 1],
      [17, 0],
    ]);
  });

  test.each(['c8', 'nyc', 'coverage-py', 'gcovr'])(
    'U5: both reports of %s say the same of every line',
    async (tool) => {
      const lcov = await parseCoverage(fixture(`${tool}.info`), { root: ROOT });
      const cobertura = await parseCoverage(fixture(`${tool}.xml`), { root: ROOT });
      expect(cobertura.files).toEqual(lcov.files);
    },
  );

  test('U5: without a root the files of the commit tell where the ones of a report are', async () => {
    const files = new Set(['src/basket.cpp', 'src/basket.h', 'src/main.cpp', 'basket.h', 'tests/test_basket.py']);
    for (const name of ['geninfo-1.info', 'gcovr.xml', 'llvm-cov.info']) {
      const report = await parseCoverage(fixture(name), { files });
      expect(report.files.map(({ path }) => path)).toEqual(Object.keys(CPP));
    }
  });
});
