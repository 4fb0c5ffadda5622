import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRetryAfter, retryDelay } from '../../src/domain/retry-policy.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 0, 1);

/** When each attempt of a delivery that never succeeds is made, in ms from the first. */
function attemptTimes(attemptTakesMs: number, retryAfterMs: number | null = null): number[] {
  const times: number[] = [];
  let now = START;
  for (;;) {
    times.push(now - START);
    now += attemptTakesMs;
    const delay = retryDelay({ windowStartedAt: START, now, retryAfterMs });
    if (delay === null) return times;
    now += delay;
  }
}

describe('the schedule', () => {
  test('D2: exactly 36 attempts: 13 at 0, 5, … 60 minutes, then 23 hourly, the last at 24 h', () => {
    const quick = Array.from({ length: 13 }, (_, i) => i * 5 * MINUTE);
    const slow = Array.from({ length: 23 }, (_, i) => (i + 2) * HOUR);
    const times = attemptTimes(0);
    expect(times).toHaveLength(36);
    expect(times).toEqual([...quick, ...slow]);
    expect(times.at(-1)).toBe(24 * HOUR);
  });

  test('D2: time decides, never a count: attempts that take 2 minutes are fewer', () => {
    const times = attemptTimes(2 * MINUTE);
    expect(times.filter((time) => time < HOUR)).toHaveLength(9);
    expect(times).toHaveLength(33);
    expect(times.at(-1)).toBeGreaterThanOrEqual(24 * HOUR);
    expect(times.at(-2)).toBeLessThan(24 * HOUR);
  });

  test.each([
    [0, 5 * MINUTE],
    [HOUR - 1, 5 * MINUTE],
    [HOUR, HOUR],
    [24 * HOUR - 1, HOUR],
    [24 * HOUR, null],
    [48 * HOUR, null],
  ])('D2: %i ms after the first attempt the delay is %s ms (strict bounds)', (elapsed, delay) => {
    expect(retryDelay({ windowStartedAt: START, now: START + elapsed, retryAfterMs: null })).toBe(delay);
  });

  test('D2: a clock that went back does not end the delivery', () => {
    expect(retryDelay({ windowStartedAt: START, now: START - MINUTE, retryAfterMs: null })).toBe(5 * MINUTE);
  });
});

describe('Retry-After', () => {
  test.each([
    ['shorter than the schedule', 0, SECOND, 5 * MINUTE],
    ['longer', 0, 20 * MINUTE, 20 * MINUTE],
    ['one hour', 0, HOUR, HOUR],
    ['more than an hour', 0, 3 * HOUR, HOUR],
    ['without end', 0, Number.POSITIVE_INFINITY, HOUR],
    ['longer, in the slow phase', 2 * HOUR, 3 * HOUR, HOUR],
    ['after the window', 24 * HOUR, HOUR, null],
  ])('D12: %s', (_, elapsed, retryAfterMs, delay) => {
    expect(retryDelay({ windowStartedAt: START, now: START + elapsed, retryAfterMs })).toBe(delay);
  });

  test('D12: it never shortens a delay and adds no more than to an hour, whatever it says', () => {
    const elapsed = fc.integer({ min: 0, max: 25 * HOUR });
    fc.assert(
      fc.property(elapsed, fc.oneof(fc.double({ min: 0, noNaN: true }), fc.nat()), (ms, retryAfterMs) => {
        const question = { windowStartedAt: START, now: START + ms };
        const plain = retryDelay({ ...question, retryAfterMs: null });
        const asked = retryDelay({ ...question, retryAfterMs });
        if (plain === null) return asked === null;
        return asked !== null && asked >= plain && asked <= HOUR;
      }),
    );
  });

  test('D12: an hour each time makes 25 attempts, 24 hours', () => {
    expect(attemptTimes(0, HOUR)).toHaveLength(25);
  });

  const now = Date.UTC(2026, 10, 24, 8, 0, 0); // a Tuesday
  test.each([
    ['0', 0],
    ['120', 120 * SECOND],
    [' 120 ', 120 * SECOND],
    ['99999999999', 99_999_999_999 * SECOND],
    ['Tue, 24 Nov 2026 08:10:00 GMT', 10 * MINUTE],
    ['Tuesday, 24-Nov-26 08:10:00 GMT', 10 * MINUTE],
    ['Tue Nov 24 08:10:00 2026', 10 * MINUTE],
    ['Tue, 24 Nov 2026 07:00:00 GMT', 0],
  ])('D12: "%s" is a wait of %i ms', (value, ms) => {
    expect(parseRetryAfter(value, now)).toBe(ms);
  });

  test.each([
    undefined,
    '',
    ' ',
    '-5',
    '1.5',
    '5m',
    'soon',
    'Tue, later',
    '2026-11-24T08:10:00Z',
    '0x10',
    '1e3',
    'NaN',
  ])('D12: %j asks for nothing', (value) => {
    expect(parseRetryAfter(value, now)).toBeNull();
  });

  test('D12: any header at all gives a wait that is not negative, or nothing', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const wait = parseRetryAfter(value, now);
        return wait === null || wait >= 0;
      }),
    );
  });
});
