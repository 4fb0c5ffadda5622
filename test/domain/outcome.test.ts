import { describe, expect, test } from 'vitest';
import {
  type ConnectionError,
  failureDetail,
  isGone,
  isSuccess,
  type Response,
  retryAfterHeader,
} from '../../src/domain/outcome.ts';

function response(statusCode: number, headers: Response['headers'] = {}): Response {
  return { kind: 'response', statusCode, headers, body: Buffer.alloc(0), truncated: false, durationMs: 1 };
}
const refused: ConnectionError = { kind: 'connection_error', reason: 'connection refused', durationMs: 1 };

describe('success', () => {
  test.each([200, 201, 202, 204, 226, 299])('D3: %i is success', (status) => {
    expect(isSuccess(response(status))).toBe(true);
    expect(failureDetail(response(status))).toBeNull();
  });

  test.each([199, 300, 301, 302, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503, 599, 999])(
    'D3, D4: %i is a failure with the detail "Bad HTTP response: %i"',
    (status) => {
      expect(isSuccess(response(status))).toBe(false);
      expect(failureDetail(response(status))).toBe(`Bad HTTP response: ${status}`);
    },
  );

  test('D4: no answer is "Connection error: …"', () => {
    expect(isSuccess(refused)).toBe(false);
    expect(failureDetail(refused)).toBe('Connection error: connection refused');
  });
});

test('D12: only 410 is gone', () => {
  expect([200, 404, 409, 410, 411, 500].filter((status) => isGone(response(status)))).toEqual([410]);
  expect(isGone(refused)).toBe(false);
});

describe('the Retry-After of an answer', () => {
  test.each([429, 503])('D12: counts with %i', (status) => {
    expect(retryAfterHeader(response(status, { 'retry-after': '7' }))).toBe('7');
    expect(retryAfterHeader(response(status, { 'retry-after': ['7', '8'] }))).toBe('7');
    expect(retryAfterHeader(response(status))).toBeUndefined();
  });

  test.each([200, 301, 404, 500])('D12: does not count with %i', (status) => {
    expect(retryAfterHeader(response(status, { 'retry-after': '7' }))).toBeUndefined();
  });

  test('D12: there is none without an answer', () => {
    expect(retryAfterHeader(refused)).toBeUndefined();
  });
});
