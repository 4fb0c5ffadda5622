import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isJobKind } from '../../src/domain/job-kinds.ts';
import { type JobTrigger, triggersOf } from '../../src/domain/job-triggers.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import {
  jobEvent,
  MERGE_REQUEST_OF_PIPELINE,
  mergeRequestEvent,
  noteEvent,
  pipelineEvent,
} from '../support/gitlab-merge-requests.ts';
import { GITLAB_REQUESTS, PUSH, TAG_PUSH } from '../support/gitlab-payloads.ts';
import { refusalOf } from '../support/refusal-of.ts';

const HEAD = 'da1560886d4f094c3e6c9ef40349f7d38b5d27d7';
const MR = { what: 'merge_request', gitlabProjectId: 15, iid: 1 };
const MERGEABILITY = 'recompute_mergeability';
const DECISION = 'recompute_review_decision';

const kindsOf = (payload: unknown): string[] => triggersOf(payload).map(({ kind }) => kind);
const pushOf = (given: object): object => ({ ...(JSON.parse(PUSH.body) as object), ...given });

describe('a push', () => {
  const ofBranch = (name: string): JobTrigger[] => [
    { kind: MERGEABILITY, about: { what: 'branch', gitlabProjectId: 15, name, as: 'head_or_base' } },
    { kind: DECISION, about: { what: 'branch', gitlabProjectId: 15, name, as: 'head' } },
  ];
  const reindex: JobTrigger = { kind: 'reindex_search', about: { what: 'repository', gitlabProjectId: 15 } };

  test('J6, J9, J10: to the default branch is about its merge requests, and the index', () => {
    expect(triggersOf(JSON.parse(PUSH.body))).toEqual([...ofBranch('main'), reindex]);
  });

  test('J6, J9: to another branch is about its merge requests alone', () => {
    expect(triggersOf(pushOf({ ref: 'refs/heads/hot/ter' }))).toEqual(ofBranch('hot/ter'));
  });

  test('J6: that deletes a branch is one too', () => {
    const deleted = { ref: 'refs/heads/hotter', after: '0'.repeat(40), checkout_sha: null };
    expect(triggersOf(pushOf(deleted))).toEqual(ofBranch('hotter'));
  });

  test('J10: the first one, while GitLab knows no default branch, may be to it', () => {
    expect(triggersOf(pushOf({ project: { id: 15, default_branch: null } }))).toContainEqual(reindex);
    expect(triggersOf(pushOf({ project: undefined }))).toContainEqual(reindex);
  });

  test('J6: of a tag is about nothing', () => {
    expect(triggersOf(JSON.parse(TAG_PUSH.body))).toEqual([]);
    expect(triggersOf(pushOf({ ref: 'refs/tags/v1' }))).toEqual([]);
    expect(triggersOf(pushOf({ ref: 'refs/merge-requests/1/head' }))).toEqual([]);
  });

  test('J6: of what is no branch is refused', () => {
    expect(refusalOf(() => triggersOf(pushOf({ ref: 'refs/heads/a:b' }))).message).toBe(
      "ref: it is not a branch's name",
    );
  });

  test('J6: a system hook tells its name only in event_name', () => {
    expect(triggersOf(pushOf({ object_kind: undefined }))).toHaveLength(3);
  });
});

describe('an event of a merge request', () => {
  test('J6, J8: is about that merge request, in the project of its base', () => {
    expect(triggersOf(mergeRequestEvent({ action: 'open' }))).toEqual([
      { kind: MERGEABILITY, about: MR },
      { kind: DECISION, about: MR },
    ]);
  });

  const change = { previous: 1, current: 2 };
  test.each<[string, object, object, string[]]>([
    ['opened', { action: 'open' }, {}, [MERGEABILITY, DECISION]],
    ['reopened', { action: 'reopen' }, { state_id: change }, [MERGEABILITY, DECISION]],
    ['approved by one', { action: 'approval' }, {}, [DECISION]],
    ['approved by all', { action: 'approved' }, {}, [DECISION]],
    ['an approval taken back', { action: 'unapproval' }, {}, [DECISION]],
    ['no longer approved', { action: 'unapproved', system: true }, {}, [DECISION]],
    ['closed', { action: 'close' }, { state_id: change }, []],
    ['merged', { action: 'merge' }, { state_id: change }, []],
    ['its head pushed', { action: 'update', oldrev: HEAD }, { updated_at: change }, [MERGEABILITY, DECISION]],
    ['another base', { action: 'update' }, { target_branch: change }, [MERGEABILITY, DECISION]],
    ['no draft any more', { action: 'update' }, { draft: change, updated_at: change }, [MERGEABILITY]],
    ['another title', { action: 'update' }, { title: change }, [MERGEABILITY]],
    ['reviewers', { action: 'update' }, { reviewers: change }, [DECISION]],
    ['reviewers and a title', { action: 'update' }, { reviewers: change, title: change }, [MERGEABILITY, DECISION]],
    ['labels', { action: 'update' }, { labels: change, updated_at: change }, []],
    ['something like a prototype', { action: 'update' }, { constructor: change }, []],
    ['an update of who knows what', { action: 'update' }, {}, [MERGEABILITY, DECISION]],
    ['something new', { action: 'transmogrify' }, {}, [MERGEABILITY, DECISION]],
    ['no action', { action: undefined }, {}, [MERGEABILITY, DECISION]],
  ])('J6, J8: %s', (_, attributes, changes, kinds) => {
    expect(kindsOf(mergeRequestEvent({ ...attributes }, { changes }))).toEqual(kinds);
  });

  test('J6: without changes told at all, anything may have changed', () => {
    expect(kindsOf(mergeRequestEvent({ action: 'update' }, { changes: undefined }))).toEqual([MERGEABILITY, DECISION]);
  });

  test('J6: one that is not as documented is refused by its field', () => {
    expect(refusalOf(() => triggersOf(mergeRequestEvent({ iid: null }))).message).toBe(
      'object_attributes.iid: it is not a number',
    );
  });
});

describe('other events', () => {
  test('J8: a comment on a merge request may be part of a review', () => {
    expect(triggersOf(noteEvent())).toEqual([{ kind: DECISION, about: MR }]);
    expect(triggersOf(noteEvent({}, 'update'))).toEqual([]);
    expect(triggersOf(noteEvent(null))).toEqual([]);
  });

  const commit = { kind: DECISION, about: { what: 'commit', gitlabProjectId: 15, sha: HEAD } };

  test('J9: a pipeline is about its commit, and its merge request where it has one', () => {
    expect(triggersOf(pipelineEvent())).toEqual([commit]);
    expect(triggersOf(pipelineEvent({ sha: undefined }))).toEqual([commit]);
    expect(triggersOf(pipelineEvent({ sha: undefined }, { commit: undefined }))).toEqual([]);
    expect(triggersOf(pipelineEvent({}, { merge_request: MERGE_REQUEST_OF_PIPELINE }))).toEqual([
      commit,
      { kind: DECISION, about: MR },
    ]);
  });

  test('J9: a job is about its commit', () => {
    expect(triggersOf(jobEvent())).toEqual([commit]);
    expect(triggersOf(jobEvent({ sha: undefined }))).toEqual([]);
  });

  test.each(GITLAB_REQUESTS.map(({ topic, body }) => [topic, body]))(
    'J6: %s as it is documented is read',
    (_, body) => {
      for (const { kind } of triggersOf(JSON.parse(body))) expect(isJobKind(kind)).toBe(true);
    },
  );

  test.each([
    [{ object_kind: 'issue' }],
    [{ object_kind: 'wiki_page' }],
    [{ object_kind: 'constructor' }],
    [{ object_kind: '__proto__' }],
    [{ event_name: 'project_create', project_id: 15 }],
    [{}],
  ])('J6: %j calls for nothing', (payload) => {
    expect(triggersOf(payload)).toEqual([]);
  });

  test.each([[null], [undefined], ['push'], [[]], [{ object_kind: 7 }], [{ object_kind: 'push' }]])(
    'J6: %j is refused',
    (payload) => {
      refusalOf(() => triggersOf(payload));
    },
  );

  test('J6: whatever an event holds, there are triggers or a refusal', () => {
    const kinds = fc.constantFrom('push', 'merge_request', 'note', 'pipeline', 'build', 'issue');
    const inner = fc.dictionary(fc.constantFrom('iid', 'action', 'oldrev', 'sha', 'target_project_id'), fc.jsonValue());
    const payloads = fc.record(
      {
        object_kind: kinds,
        object_attributes: fc.oneof(inner, fc.jsonValue()),
        merge_request: fc.oneof(inner, fc.jsonValue()),
        project: fc.jsonValue(),
        project_id: fc.oneof(fc.nat(), fc.jsonValue()),
        ref: fc.oneof(fc.constant('refs/heads/main'), fc.jsonValue()),
        changes: fc.jsonValue(),
      },
      { requiredKeys: ['object_kind'] },
    );
    fc.assert(
      fc.property(payloads, (payload) => {
        try {
          for (const { kind } of triggersOf(payload)) expect(isJobKind(kind)).toBe(true);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
