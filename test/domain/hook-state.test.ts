import { describe, expect, test } from 'vitest';
import { BLOCKED_STATES, HOOK_STATES, recheckDelayMs } from '../../src/domain/hook-state.ts';

const HOUR = 3_600_000;

describe('G7: when a hook is looked at again', () => {
  test.each([
    ['pending', 1, 0],
    ['invalid_credentials', 9, 0],
    ['installed', 0, 24 * HOUR],
    ['covered', 0, 24 * HOUR],
    ['not_found', 1, HOUR],
    ['no_access', 2, 2 * HOUR],
    ['error', 5, 16 * HOUR],
    ['error', 6, 24 * HOUR],
    ['error', 5_000, 24 * HOUR],
    ['error', 0, HOUR],
  ] as const)('%s, for the %d. time: in %d ms', (state, attempts, ms) => {
    expect(recheckDelayMs({ state, attempts, verifyMs: 24 * HOUR })).toBe(ms);
  });

  test('never later than one that is right', () => {
    for (const state of HOOK_STATES) {
      expect(recheckDelayMs({ state, attempts: 3, verifyMs: 500 })).toBeLessThanOrEqual(500);
    }
  });

  test('blocked are the states that are neither right nor still to be reached', () => {
    expect(HOOK_STATES.filter((state) => !BLOCKED_STATES.some((blocked) => blocked === state))).toEqual([
      'pending',
      'installed',
      'covered',
    ]);
  });
});
