import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextProbeAt, PROBE_LEASE_MS } from '../../src/domain/circuit-breaker.ts';
import { retryDelay } from '../../src/domain/retry-policy.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 0, 1);

/** How long after a probe that failed so long after the trip the next one goes out, in ms. */
function delayAfter(elapsed: number, { own = null, retryAfterMs = null }: Partial<Record<string, number | null>> = {}) {
  const now = START + elapsed;
  const nextAttemptAt = own === null ? null : now + own;
  return nextProbeAt({ trippedAt: START, now, nextAttemptAt, retryAfterMs }) - now;
}

describe('probes of a tripped subscription', () => {
  test('E10: every 5 minutes in the first hour after the trip, then every hour, for days', () => {
    const probes: number[] = [];
    for (let elapsed = 0; elapsed < 72 * HOUR;) probes.push((elapsed += delayAfter(elapsed)));
    const quick = Array.from({ length: 12 }, (_, i) => (i + 1) * 5 * MINUTE);
    const slow = Array.from({ length: 71 }, (_, i) => (i + 2) * HOUR);
    expect(probes).toEqual([...quick, ...slow]);
  });

  test.each([
    [0, 5 * MINUTE],
    [HOUR - 1, 5 * MINUTE],
    [HOUR, HOUR],
    [24 * HOUR - 1, HOUR],
    [24 * HOUR, HOUR],
    [365 * 24 * HOUR, HOUR],
  ])('E10: %i ms after the trip the next one comes after %i ms: a breaker never gives up', (elapsed, delay) => {
    expect(delayAfter(elapsed)).toBe(delay);
  });

  test.each([
    ['earlier', 2 * HOUR, 5 * MINUTE, 5 * MINUTE],
    ['at the same time', 2 * HOUR, HOUR, HOUR],
    ['later', 0, HOUR, 5 * MINUTE],
    ['never: the delivery has failed for good', 2 * HOUR, null, HOUR],
    ['earlier, after days', 50 * HOUR, 5 * MINUTE, 5 * MINUTE],
  ])('E10: the delivery that failed is due %s', (_, elapsed, own, delay) => {
    expect(delayAfter(elapsed, { own })).toBe(delay);
  });

  test.each([
    ['shorter than the schedule', 0, SECOND, 5 * MINUTE],
    ['longer', 0, 20 * MINUTE, 20 * MINUTE],
    ['an hour', 0, HOUR, HOUR],
    ['more than an hour', 0, 3 * HOUR, HOUR],
    ['without end', 0, Number.POSITIVE_INFINITY, HOUR],
    ['longer, in the slow phase', 2 * HOUR, 3 * HOUR, HOUR],
    ['longer, after 24 hours', 30 * HOUR, 3 * HOUR, HOUR],
  ])('E10, D12: Retry-After is %s', (_, elapsed, retryAfterMs, delay) => {
    expect(delayAfter(elapsed, { retryAfterMs })).toBe(delay);
  });

  test('E10, D12: whatever happened before, 5 minutes to an hour pass, and no less than Retry-After asked for', () => {
    const age = fc.integer({ min: 0, max: 60 * HOUR });
    fc.assert(
      fc.property(age, age, fc.option(fc.nat({ max: 3 * HOUR })), (sinceTrip, sinceFirstAttempt, retryAfterMs) => {
        const now = START + sinceTrip;
        const own = retryDelay({ windowStartedAt: now - sinceFirstAttempt, now, retryAfterMs });
        const delay = delayAfter(sinceTrip, { own, retryAfterMs });
        expect(delay).toBeGreaterThanOrEqual(Math.max(5 * MINUTE, Math.min(retryAfterMs ?? 0, HOUR)));
        expect(delay).toBeLessThanOrEqual(HOUR);
      }),
    );
  });
});

test('E10: a probe is over before another one may go out', () => {
  expect(PROBE_LEASE_MS).toBeLessThanOrEqual(delayAfter(0));
});
