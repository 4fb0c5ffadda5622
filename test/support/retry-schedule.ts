import { expect } from 'vitest';
import type { DeliveryWithAttempts } from '../../src/index.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** What the attempts themselves take of the real clock, all together. */
const DRIFT_MS = 60_000;

/** When attempts at a receiver that is dead for 24 h are made, from the first on. */
const SCHEDULE = [
  ...Array.from({ length: 13 }, (_, index) => index * 5 * MINUTE),
  ...Array.from({ length: 23 }, (_, index) => (index + 2) * HOUR),
];

/** So many attempts were made, each at its time. */
export function expectOnSchedule({ attempts }: DeliveryWithAttempts, count: number): void {
  const first = Date.parse(attempts[0]!.sentAt);
  expect(attempts.map(({ number }) => number)).toEqual(Array.from({ length: count }, (_, index) => index + 1));
  for (const { number, sentAt } of attempts) {
    const late = Date.parse(sentAt) - first - SCHEDULE[number - 1]!;
    expect(late, `attempt ${number}`).toBeGreaterThanOrEqual(0);
    expect(late, `attempt ${number}`).toBeLessThan(DRIFT_MS);
  }
}
