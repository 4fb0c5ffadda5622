import { expect, test } from 'vitest';
import {
  JOB_ATTEMPTS,
  JOB_DELAY_FACTOR,
  JOB_FIRST_DELAY_MS,
  JOB_LONGEST_DELAY_MS,
  jobRetryDelay,
} from '../../src/domain/job-retry.ts';

test('J3: five attempts, 2, 4, 8 and 16 seconds after one another; then the job is dead', () => {
  expect([1, 2, 3, 4, 5, 6].map(jobRetryDelay)).toEqual([2_000, 4_000, 8_000, 16_000, null, null]);
});

test('J3: a retry policy with these constants keeps min(2^n, 300) s, however many attempts there were', () => {
  // As Temporal computes it: the interval so far times the coefficient, and no more than the maximum.
  let interval = JOB_FIRST_DELAY_MS;
  for (let n = 1; n <= 20; n++) {
    expect(interval).toBe(Math.min(2 ** n, 300) * 1_000);
    if (n < JOB_ATTEMPTS) expect(jobRetryDelay(n)).toBe(interval);
    interval = Math.min(interval * JOB_DELAY_FACTOR, JOB_LONGEST_DELAY_MS);
  }
});
