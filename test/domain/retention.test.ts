import { expect, test } from 'vitest';
import { retentionCutoff } from '../../src/domain/retention.ts';

test('J12: 30 days before now, also where a clock was put forward in between', () => {
  expect(new Date(retentionCutoff(Date.UTC(2026, 3, 10, 8, 30), 30)).toISOString()).toBe('2026-03-11T08:30:00.000Z');
  expect(new Date(retentionCutoff(Date.UTC(2026, 2, 1), 1)).toISOString()).toBe('2026-02-28T00:00:00.000Z');
});
