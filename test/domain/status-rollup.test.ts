import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CommitStatus, rollUp, STATUS_STATES, type StatusState } from '../../src/domain/status-rollup.ts';

const status = (context: string, state: StatusState, order: number): CommitStatus => ({ context, state, order });

describe('the rollup', () => {
  test('J9: none without a status', () => {
    expect(rollUp([])).toBeNull();
  });

  test.each(STATUS_STATES)('J9: one status is what it is: %s', (state) => {
    expect(rollUp([status('build', state, 1)])).toBe(state);
  });

  test('J9: error is worse than failure, than pending, than success, than expected', () => {
    const worstFirst: StatusState[] = ['error', 'failure', 'pending', 'success', 'expected'];
    for (const [i, state] of worstFirst.entries()) {
      expect(rollUp(worstFirst.slice(i).map((one) => status(one, one, 1)))).toBe(state);
    }
  });

  test('J9: an old failure does not stick once a later run has made it good', () => {
    expect(rollUp([status('build', 'failure', 1), status('lint', 'success', 2), status('build', 'success', 3)])).toBe(
      'success',
    );
    expect(rollUp([status('build', 'success', 3), status('build', 'failure', 1)])).toBe('success');
  });

  test("J9: another context's success makes nothing good", () => {
    expect(rollUp([status('build', 'failure', 1), status('lint', 'success', 2)])).toBe('failure');
  });

  test('J9: contexts are only names: those of an object are ones too', () => {
    expect(rollUp([status('__proto__', 'failure', 1), status('constructor', 'success', 2)])).toBe('failure');
  });

  test('J9: agrees with a naive model, in whatever order they come', () => {
    const seen: Record<string, number> = {};
    const severity: Record<StatusState, number> = { error: 5, failure: 4, pending: 3, success: 2, expected: 1 };
    const statuses = fc.array(
      fc.record({
        context: fc.constantFrom('build', 'lint', 'test', 'deploy'),
        state: fc.constantFrom(...STATUS_STATES),
        order: fc.nat(5),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(
        statuses.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
        ([list, shuffled]) => {
          const worst = list
            .filter((one) => !list.some((other) => other.context === one.context && other.order > one.order))
            .map(({ state }) => state)
            .sort((a, b) => severity[b] - severity[a])[0];
          seen[String(worst)] = (seen[String(worst)] ?? 0) + 1;
          expect(rollUp(list)).toBe(worst ?? null);
          expect(rollUp(shuffled)).toBe(worst ?? null);
        },
      ),
      { numRuns: 2_000 },
    );
    for (const state of STATUS_STATES) expect(seen[state]).toBeGreaterThan(20);
  });
});
