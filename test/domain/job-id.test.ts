import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jobWorkflowId, WORKFLOW_ID_LIMIT } from '../../src/domain/job-id.ts';
import { parseJob } from '../../src/domain/job.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { refusalOf } from '../support/refusal-of.ts';

const ID = '019a1c1e-0000-7000-8000-000000000001';

describe('the id of a job', () => {
  test.each([
    ['reindex_search', 'reindex_search/repo/12', 'reindex_search/repo/12'],
    ['reindex_search', 'nightly', 'reindex_search/nightly'],
    ['reindex_search', 'reindex_search', 'reindex_search/reindex_search'],
    ['reindex_search', 'recompute_mergeability/mr/7', 'reindex_search/recompute_mergeability/mr/7'],
    ['reindex_search', 'deploy of prod, 2026-11-24 (eu)', 'reindex_search/deploy of prod, 2026-11-24 (eu)'],
    ['reindex_search', 'žluťoučký kůň 🐎', 'reindex_search/žluťoučký kůň 🐎'],
    ['reindex_search', null, `reindex_search/job/${ID}`],
    ['reindex_search', '', `reindex_search/job/${ID}`],
  ])('J1: of %s by the key %j is %s', (kind, key, id) => {
    expect(jobWorkflowId(kind, key, ID)).toBe(id);
  });

  test("J1: a job's own key is its id", () => {
    const { kind, dedupeKey } = parseJob('recompute_mergeability', { mergeRequestId: 7 });
    expect(jobWorkflowId(kind, dedupeKey, ID)).toBe('recompute_mergeability/mr/7');
  });

  test.each([
    ['a line break', 'a\nb', /control character/],
    ['a NUL', 'a\u0000b', /control character/],
    ['an escape', '\u001b[2J', /control character/],
    ['half a character', 'a\ud800', /control character/],
    ['a zero-width space', 'a\u200bb', /cannot be seen/],
    ['a right-to-left override', 'a\u202eb', /cannot be seen/],
    ['a line separator', 'a\u2028b', /cannot be seen/],
    ['a quote', `it's`, /a quote/],
    ['a double quote', 'a"b', /a quote/],
    ['a backslash', 'a\\b', /a backslash/],
    ['white space before', ' a', /white space/],
    ['white space after', 'a ', /white space/],
    ['white space alone', ' ', /white space/],
  ])('J1: a key with %s is refused', (_, key, problem) => {
    const { message, field } = refusalOf(() => jobWorkflowId('reindex_search', key, ID));
    expect(field).toBe('dedupeKey');
    expect(message).toMatch(problem);
  });

  test('J1: 255 bytes with the kind are allowed, 256 are not; bytes count, not characters', () => {
    const room = WORKFLOW_ID_LIMIT - 'reindex_search/'.length;
    expect(jobWorkflowId('reindex_search', 'x'.repeat(room), ID)).toHaveLength(WORKFLOW_ID_LIMIT);
    expect(refusalOf(() => jobWorkflowId('reindex_search', 'x'.repeat(room + 1), ID)).message).toBe(
      'dedupeKey: with its kind it has 256 bytes; 255 at most',
    );
    expect(refusalOf(() => jobWorkflowId('reindex_search', 'ž'.repeat(room), ID)).field).toBe('dedupeKey');
  });

  test('J1: two kinds never share an id, and within one only the same key, with or without its kind, does', () => {
    const kinds = fc.constantFrom('a', 'a_b');
    const keys = fc.array(fc.constantFrom('a', 'a_b', 'a/', 'a_b/'), { minLength: 1, maxLength: 2, size: 'max' });
    const one = fc.record({ kind: kinds, key: keys.map((parts) => parts.join('')) });
    const bare = ({ kind, key }: { kind: string; key: string }) =>
      key.startsWith(`${kind}/`) ? key.slice(kind.length + 1) : key;
    let same = 0;
    fc.assert(
      fc.property(one, one, (first, second) => {
        const expected = first.kind === second.kind && bare(first) === bare(second);
        if (expected) same++;
        const ids = [first, second].map(({ kind, key }) => jobWorkflowId(kind, key, ID));
        expect(ids[0] === ids[1]).toBe(expected);
      }),
      { numRuns: 5_000 },
    );
    expect(same).toBeGreaterThan(50);
  });

  test('J1: any key gives an id that Temporal takes, or a refusal that does not repeat it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (key) => {
        try {
          const id = jobWorkflowId('reindex_search', key, ID);
          return Buffer.byteLength(id) <= 1_000 && Buffer.from(id).toString() === id;
        } catch (error) {
          return error instanceof Refusal && (key.length < 8 || !error.message.includes(key));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
