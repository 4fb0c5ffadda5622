import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  branchName,
  mergeRequestOfApi,
  mergeRequestOfEvent,
  sha,
  tellsOfMergeRequest,
} from '../../src/domain/merge-request.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { mergeRequestAnswer, mergeRequestEvent, noteEvent, pipelineEvent } from '../support/gitlab-merge-requests.ts';
import { MERGE_REQUEST } from '../support/gitlab-payloads.ts';
import { refusalOf } from '../support/refusal-of.ts';

const kept = {
  gitlabId: 99,
  iid: 1,
  gitlabProjectId: 15,
  title: 'Hotter',
  sourceBranch: 'hotter',
  targetBranch: 'main',
  sourceGitlabProjectId: 14,
  headSha: 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7',
  isDraft: false,
  state: 'opened',
  reviewers: [6],
  updatedAt: Date.UTC(2026, 10, 12, 14, 27, 31),
};

describe('what is kept of a merge request', () => {
  test('J6: by its own event, by a comment on it and by the API it is the same', () => {
    expect(mergeRequestOfEvent(mergeRequestEvent())).toEqual(kept);
    expect(mergeRequestOfEvent(noteEvent())).toEqual(kept);
    expect(mergeRequestOfApi(mergeRequestAnswer())).toEqual({ ...kept, updatedAt: kept.updatedAt + 520 });
  });

  test('J6: is told by its own events, and by those of comments on it', () => {
    expect([mergeRequestEvent(), noteEvent()].map(tellsOfMergeRequest)).toEqual([true, true]);
    const others = [noteEvent(null), pipelineEvent({}, { merge_request: { iid: 1 } }), {}, null, { object_kind: 7 }];
    expect(others.map(tellsOfMergeRequest)).toEqual(others.map(() => false));
  });

  test.each<[string, object, object]>([
    ['a draft', { draft: true }, { isDraft: true }],
    ['a draft of an older GitLab', { draft: undefined, work_in_progress: true }, { isDraft: true }],
    ['from a fork that is gone', { source_project_id: null }, { sourceGitlabProjectId: null }],
    ['merged', { state: 'merged' }, { state: 'merged' }],
    ['locked', { state: 'locked' }, { state: 'locked' }],
    ['of a title with a NUL', { title: 'a\u0000b' }, { title: 'a\ufffdb' }],
    ['without a time', { updated_at: null }, { updatedAt: null }],
    ['of a time that is none', { updated_at: 'soon' }, { updatedAt: null }],
    ['of a branch with slashes', { source_branch: 'žluť/#1-@2' }, { sourceBranch: 'žluť/#1-@2' }],
  ])('J6: %s', (_, given, expected) => {
    expect(mergeRequestOfEvent(mergeRequestEvent({ ...given }))).toMatchObject(expected);
    expect(mergeRequestOfEvent(noteEvent({ ...given }))).toMatchObject(expected);
    expect(mergeRequestOfApi(mergeRequestAnswer({ ...given }))).toMatchObject(expected);
  });

  test('J6: without commits there is no head', () => {
    expect(mergeRequestOfEvent(mergeRequestEvent({ last_commit: null })).headSha).toBeNull();
    expect(mergeRequestOfApi(mergeRequestAnswer({ sha: null })).headSha).toBeNull();
  });

  test('J8: reviewers by their ids, by themselves, or unknown', () => {
    expect(mergeRequestOfEvent(mergeRequestEvent({ reviewer_ids: [] }, { reviewers: undefined })).reviewers).toEqual(
      [],
    );
    expect(mergeRequestOfEvent(mergeRequestEvent({ reviewer_ids: undefined })).reviewers).toEqual([6]);
    expect(mergeRequestOfApi(mergeRequestAnswer({ reviewers: [] })).reviewers).toEqual([]);
    const untold = mergeRequestEvent({ reviewer_ids: undefined }, { reviewers: undefined });
    expect(mergeRequestOfEvent(untold).reviewers).toBeNull();
  });

  test('J6: a small payload will do', () => {
    expect(mergeRequestOfEvent(JSON.parse(MERGE_REQUEST.body))).toMatchObject({ iid: 1, isDraft: false });
  });

  test.each<[object, string, string]>([
    [{ iid: undefined }, 'object_attributes.iid', 'it is missing'],
    [{ iid: '1' }, 'object_attributes.iid', 'it is not a number'],
    [{ state: 'reticent' }, 'object_attributes.state', 'it is none of opened, closed, merged, locked'],
    [{ source_branch: 'a:refs/heads/main' }, 'object_attributes.source_branch', "it is not a branch's name"],
    [{ last_commit: { id: '--help' } }, 'object_attributes.last_commit.id', "it is not a commit's full hash"],
  ])('J6: %j is refused by the field %s', (given, field, problem) => {
    expect(refusalOf(() => mergeRequestOfEvent(mergeRequestEvent({ ...given }))).message).toBe(`${field}: ${problem}`);
  });

  test.each([[null], ['text'], [[]], [{}], [{ object_kind: 'merge_request' }], [{ object_kind: 'note' }]])(
    'J6: %j is refused',
    (payload) => {
      refusalOf(() => mergeRequestOfEvent(payload));
      refusalOf(() => mergeRequestOfApi(payload));
    },
  );

  test('J6: whatever a field holds instead, it is kept as its type says or refused', () => {
    const fields = fc.constantFrom(...Object.keys(mergeRequestAnswer()));
    fc.assert(
      fc.property(fields, fc.anything(), (field, value) => {
        try {
          const found = mergeRequestOfApi(mergeRequestAnswer({ [field]: value }));
          expect(Object.keys(found).sort()).toEqual(Object.keys(kept).sort());
          expect(found.title).toBeTypeOf('string');
          expect(Number.isSafeInteger(found.iid)).toBe(true);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('what git is given', () => {
  test.each(['main', 'a/b', 'feature/#12', 'v1.2', 'a@b', 'kůň', '🔥', 'a-', 'a.b'])('J6: %j is a branch', (name) => {
    expect(branchName.safeParse(name).success).toBe(true);
  });

  test.each([
    ...['', '@', '-a', '--upload-pack=x', '/a', 'a/', 'a//b', '.a', 'a/.b', 'a.', 'a..b', 'a.lock', 'a.lock/b', 'a b'],
    ...['a~1', 'a^', 'a:b', 'a?', 'a*', 'a[b', 'a\\b', 'a@{1}', 'a\n', 'a\u0000', 'a\u007f', 'x'.repeat(256)],
  ])('J6: %j is not', (name) => {
    expect(branchName.safeParse(name).success).toBe(false);
  });

  test.each([
    ['a'.repeat(40), true],
    ['0'.repeat(64), true],
    ['a'.repeat(39), false],
    ['a'.repeat(41), false],
    ['A'.repeat(40), false],
    ['HEAD', false],
    [`${'a'.repeat(40)}\n`, false],
  ])('J6: %j as a commit: %s', (hash, expected) => {
    expect(sha.safeParse(hash).success).toBe(expected);
  });
});
