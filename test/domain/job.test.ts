import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { type Job, type JobPayload, parseJob } from '../../src/domain/job.ts';
import { isJobKind, JOB_KINDS, type JobKind } from '../../src/domain/job-kinds.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { refusalOf } from '../support/refusal-of.ts';

const SHA = 'c0ffee00'.repeat(5);
const KINDS = Object.keys(JOB_KINDS) as JobKind[];

describe('the registry', () => {
  test('J1, J5: the kinds, each with what there is to know of it', () => {
    expect(KINDS).toEqual([
      'recompute_mergeability',
      'recompute_review_decision',
      'reindex_search',
      'sync_merge_requests',
      'initializeRepository',
      'processCommit',
      'runCheck',
      'postCommitStatuses',
      'computeRepositoryCommitsSize',
      'processCoverage',
      'requestCacheEviction',
      'destroyRepository',
      'updateCommitsAuthor',
      'updateOrganizationRepositories',
      'updateRepositoryPermissions',
      'updateUserPermissions',
    ]);
    for (const kind of KINDS) {
      expect(kind).toMatch(/^[a-z]+((_[a-z]+)+|([A-Z][a-z]+)+)$/); // as the specification of each has it
      expect(JOB_KINDS[kind].description).toMatch(/^[A-Z].*[^.]$/);
      expect(['forgeflow', 'git', 'gitlab', 'checks']).toContain(JOB_KINDS[kind].queue);
      // The ids of other workflows begin with these.
      expect(['delivery', 'test']).not.toContain(kind);
    }
  });

  test('J5: a kind fixes the type of its payload', () => {
    expectTypeOf<JobPayload<'reindex_search'>>().toEqualTypeOf<{ repositoryId: number }>();
    expectTypeOf<Extract<Job, { kind: 'recompute_mergeability' }>['payload']>().toEqualTypeOf<{
      mergeRequestId: number;
    }>();
  });

  test.each(['', 'reindex', 'Reindex_search', 'constructor', '__proto__', 'toString'])('J3: %j is no kind', (kind) => {
    expect(isJobKind(kind)).toBe(false);
    const { message, field } = refusalOf(() => parseJob(kind, {}));
    expect(field).toBe('kind');
    expect(message).toBe(`kind: there is no ${JSON.stringify(kind)}; there are ${KINDS.join(', ')}`);
  });

  test('J3: an endless kind does not make an endless sentence', () => {
    expect(refusalOf(() => parseJob('x'.repeat(1_000_000), {})).message.length).toBeLessThan(500);
  });
});

describe('payloads', () => {
  test.each([
    ['recompute_mergeability', { mergeRequestId: 7 }, 'recompute_mergeability/mr/7'],
    ['recompute_review_decision', { mergeRequestId: 7 }, 'recompute_review_decision/mr/7'],
    ['reindex_search', { repositoryId: 12 }, 'reindex_search/repo/12'],
    ['reindex_search', { repositoryId: 2_147_483_647 }, 'reindex_search/repo/2147483647'],
    ['processCommit', { commitId: 3 }, 'processCommit/commit/3'],
    ['runCheck', { checkId: 4 }, 'runCheck/check/4'],
    ['updateUserPermissions', { userId: 5 }, 'updateUserPermissions/user/5'],
    ['updateOrganizationRepositories', { group: 'acme/web' }, 'updateOrganizationRepositories/group/acme/web'],
    ['processCoverage', { repositoryId: 1, sha: SHA, report: 2 }, `processCoverage/repo/1/${SHA}`],
  ])('J1: %s %j has the key %s', (kind, payload, dedupeKey) => {
    expect(parseJob(kind, payload)).toEqual({ kind, payload, dedupeKey });
  });

  test.each([[undefined], [null], ['']])('J1: %j means {}', (payload) => {
    expect(refusalOf(() => parseJob('reindex_search', payload)).message).toBe('repositoryId: it is missing');
  });

  const NO_SHA = 'it is not the whole id of a commit, in small letters';
  const notAnId = 'it is not a whole number from 1 to 2147483647';
  test.each([
    ['reindex_search', { repositoryId: undefined }, 'repositoryId', 'it is missing'],
    ['reindex_search', { repositoryId: null }, 'repositoryId', 'it is not a number'],
    ['reindex_search', { repositoryId: '12' }, 'repositoryId', 'it is not a number'],
    ['reindex_search', { repositoryId: 0 }, 'repositoryId', notAnId],
    ['reindex_search', { repositoryId: -1 }, 'repositoryId', notAnId],
    ['reindex_search', { repositoryId: 1.5 }, 'repositoryId', 'it is not a whole number'],
    ['reindex_search', { repositoryId: 2_147_483_648 }, 'repositoryId', notAnId],
    ['reindex_search', { repositoryId: 1e300 }, 'repositoryId', notAnId],
    ['reindex_search', { repositoryId: NaN }, 'repositoryId', 'it is not a number'],
    ['reindex_search', { mergeRequestId: 12 }, 'repositoryId', 'it is missing'],
    ['reindex_search', { repositoryId: 12, force: true }, 'force', 'there is no such field'],
    ['recompute_mergeability', { mergerequestid: 12 }, 'mergeRequestId', 'it is missing'],
    ['processCoverage', { repositoryId: 1, sha: '0'.repeat(40), report: 2 }, 'sha', NO_SHA],
    ['processCoverage', { repositoryId: 1, sha: 'c0ffee', report: 2 }, 'sha', NO_SHA],
    ['updateOrganizationRepositories', { group: '' }, 'group', 'it is not the path of a group (acme/backend)'],
    ['updateOrganizationRepositories', { group: 'a"b' }, 'group', 'it is not the path of a group (acme/backend)'],
    ['recompute_mergeability', { repositoryId: 12, mergeRequestId: 1 }, 'repositoryId', 'there is no such field'],
    ['recompute_mergeability', [], 'payload', 'it is not a JSON object'],
    ['recompute_mergeability', 'mergeRequestId', 'payload', 'it is not a JSON object'],
    ['recompute_mergeability', 7, 'payload', 'it is not a JSON object'],
    ['recompute_mergeability', false, 'payload', 'it is not a JSON object'],
  ])('J3: %s refuses %j by its field %s', (kind, payload, field, problem) => {
    const refusal = refusalOf(() => parseJob(kind, payload));
    expect(refusal.kind).toBe('invalid');
    expect(refusal.field).toBe(field);
    expect(refusal.message).toBe(`${field}: ${problem}`);
  });

  test('J3: whatever comes in is either a job with just its fields or a refusal', () => {
    fc.assert(
      fc.property(fc.constantFrom(...KINDS), fc.oneof(fc.anything(), fc.jsonValue()), (kind, payload) => {
        try {
          const job = parseJob(kind, payload);
          return Object.keys(job.payload).length === 1 && job.dedupeKey.startsWith(`${kind}/`);
        } catch (error) {
          return error instanceof Refusal && error.message.length < 500;
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
