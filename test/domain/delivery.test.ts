import { describe, expect, test } from 'vitest';
import { deliveryWorkflowId, judgeAttempt } from '../../src/domain/delivery.ts';
import type { Outcome } from '../../src/domain/outcome.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2026, 0, 1);

function answer(statusCode: number, headers: Record<string, string> = {}): Outcome {
  return { kind: 'response', statusCode, headers, body: Buffer.alloc(0), truncated: false, durationMs: 1 };
}
const refused: Outcome = { kind: 'connection_error', reason: 'connection refused', durationMs: 1 };
const wait = { 'retry-after': '1800' };
const tooLong = { 'retry-after': '86400' };

interface Row {
  name: string;
  outcome: Outcome;
  elapsed: number;
  state: 'pending' | 'delivered' | 'failed';
  detail: string | null;
  /** ms from the attempt. */
  next: number | null;
}

const BAD = 'Bad HTTP response: ';
const rows: Row[] = [
  { name: 'D3: 200', outcome: answer(200), elapsed: 0, state: 'delivered', detail: null, next: null },
  { name: 'D3: 204 late', outcome: answer(204), elapsed: 30 * HOUR, state: 'delivered', detail: null, next: null },
  { name: 'D3: 302', outcome: answer(302), elapsed: 0, state: 'pending', detail: `${BAD}302`, next: 5 * MINUTE },
  { name: 'D3: 404', outcome: answer(404), elapsed: 2 * HOUR, state: 'pending', detail: `${BAD}404`, next: HOUR },
  {
    name: 'D2: 500 at 24 h',
    outcome: answer(500),
    elapsed: 24 * HOUR,
    state: 'failed',
    detail: `${BAD}500`,
    next: null,
  },
  {
    name: 'D3: no connection',
    outcome: refused,
    elapsed: 0,
    state: 'pending',
    detail: 'Connection error: connection refused',
    next: 5 * MINUTE,
  },
  {
    name: 'D2: no connection at 24 h',
    outcome: refused,
    elapsed: 24 * HOUR,
    state: 'failed',
    detail: 'Connection error: connection refused',
    next: null,
  },
  {
    name: 'D12: 503',
    outcome: answer(503, wait),
    elapsed: 0,
    state: 'pending',
    detail: `${BAD}503`,
    next: 30 * MINUTE,
  },
  { name: 'D12: 429', outcome: answer(429, tooLong), elapsed: 0, state: 'pending', detail: `${BAD}429`, next: HOUR },
  { name: 'D12: 500', outcome: answer(500, wait), elapsed: 0, state: 'pending', detail: `${BAD}500`, next: 5 * MINUTE },
  {
    name: 'D12: 503 at 24 h',
    outcome: answer(503, wait),
    elapsed: 24 * HOUR,
    state: 'failed',
    detail: `${BAD}503`,
    next: null,
  },
];

describe('judging an attempt', () => {
  test.each(rows)('$name makes the delivery $state', ({ outcome, elapsed, state, detail, next }) => {
    const now = START + elapsed;
    expect(judgeAttempt(outcome, START, now)).toEqual({
      state,
      failureDetail: detail,
      nextAttemptAt: next === null ? null : now + next,
      disablesSubscription: false,
    });
  });

  test.each([0, 23 * HOUR, 25 * HOUR])(
    'D12: 410 after %i ms ends the delivery and disables the subscription',
    (elapsed) => {
      expect(judgeAttempt(answer(410, wait), START, START + elapsed)).toEqual({
        state: 'failed',
        failureDetail: 'Bad HTTP response: 410',
        nextAttemptAt: null,
        disablesSubscription: true,
      });
    },
  );
});

test('D1: the workflow id of a delivery', () => {
  expect(deliveryWorkflowId('0199-abc')).toBe('delivery/0199-abc');
});
