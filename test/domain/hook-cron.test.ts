import { describe, expect, test } from 'vitest';
import { isCron } from '../../src/domain/hook-cron.ts';

describe('G1: the schedule', () => {
  test.each([
    '*/10 * * * *',
    '0 3 * * *',
    '0,15,30-45/5 8-18/2 1-31 1,12 0-7',
    ' 5  4\t* * mon-fri ',
    '0 0 1 JAN,jul Sun',
    '59 23 31 12 7',
  ])('may be %s', (cron) => {
    expect(isCron(cron)).toBe(true);
  });

  test.each([
    '',
    '*',
    '* * * *',
    '* * * * * *',
    '@hourly',
    'every 10 minutes now ok',
    '60 * * * *',
    '* 24 * * *',
    '* * 0 * *',
    '* * * 13 *',
    '* * * * 8',
    '5-1 * * * *',
    '1-2-3 * * * *',
    '*/0 * * * *',
    '*/x * * * *',
    '*/5/5 * * * *',
    ', * * * *',
    '1, * * * *',
    '-1 * * * *',
    '1- * * * *',
    'mon * * * *',
    '* * * mon *',
    '1.5 * * * *',
    '*-5 * * * *',
  ])('may not be %j', (cron) => {
    expect(isCron(cron)).toBe(false);
  });
});
