import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  forgetDecisions,
  forgetMergeability,
  writeDecision,
  writeMergeability,
} from '../../src/database/merge-request-results.ts';
import {
  closeMergeRequest,
  findMergeRequest,
  findMergeRequestByIid,
  listMergeRequests,
  mergeRequestsAbout,
  upsertMergeRequest,
} from '../../src/database/merge-requests.ts';
import type { MergeRequest } from '../../src/domain/merge-request.ts';
import { cloneDatabase, type TestDatabase } from '../support/database.ts';
import { addRepository, at, emptyHookTables } from './hook-rows.ts';
import { addMergeRequest, addTrackedRepository, hashOf, mergeRequestIn } from './merge-request-rows.ts';

let database: TestDatabase;
let repository: Awaited<ReturnType<typeof addTrackedRepository>>;
beforeAll(async () => {
  database = await cloneDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await emptyHookTables(database.db);
  repository = await addTrackedRepository(database.db, { path: 'clay/kiln', requiredApprovals: 2 });
});

const UNKNOWN = { state: 'unknown', mergeable: null, rebaseable: null, ahead: null, headSha: null, at: null };
const UNDECIDED = { review: null, statuses: null, headSha: null, at: null };
const CLEAN = {
  state: 'clean',
  mergeable: true,
  rebaseable: true,
  ahead: 2,
  behind: 0,
  changedFiles: 3,
  additions: 10,
  deletions: 4,
  headSha: hashOf('a'),
  baseSha: hashOf('b'),
  at: at(5),
} as const;
const APPROVED = { review: 'approved', statuses: 'success', at: at(6) } as const;
const MINUTE = 60_000;
const NOON = Date.UTC(2026, 10, 26, 12);

/** What is kept as it was told. */
const recorded = (found: MergeRequest) =>
  Object.fromEntries(Object.entries(found).filter(([field]) => !['gitlabProjectId', 'updatedAt'].includes(field)));

/** One that both jobs have been at. */
async function addComputed(changes: Partial<MergeRequest> = {}): Promise<number> {
  const { db } = database;
  const id = await addMergeRequest(db, repository.gitlabId, { updatedAt: NOON, ...changes });
  const { revision, headSha } = (await findMergeRequest(db, id))!;
  expect(await writeMergeability(db, { id, revision }, CLEAN)).toBe(true);
  expect(await writeDecision(db, { id, headSha }, APPROVED)).toBe(true);
  return id;
}

describe('what is kept of a merge request', () => {
  test('J6: all that GitLab says, with nothing computed yet', async () => {
    const { db } = database;
    const found = mergeRequestIn(repository.gitlabId, { iid: 12, reviewers: [4, 2 ** 40], sourceGitlabProjectId: 77 });
    const kept = await upsertMergeRequest(db, found);
    expect(kept).toEqual({
      id: kept!.id,
      repositoryId: repository.id,
      state: 'opened',
      headSha: hashOf('a'),
      isNew: true,
      isOutdated: false,
      isDoubtful: false,
      changed: [],
    });
    const record = await findMergeRequest(db, kept!.id);
    expect(record).toEqual({
      ...recorded(found),
      id: kept!.id,
      repository: { ...repository, defaultBranch: 'main', requiredApprovals: 2 },
      revision: 0,
      mergeability: { ...UNKNOWN, behind: null, changedFiles: null, additions: null, deletions: null, baseSha: null },
      decision: UNDECIDED,
    });
    expect(await findMergeRequestByIid(db, { gitlabProjectId: repository.gitlabId, iid: 12 })).toEqual(record);
    expect(await findMergeRequestByIid(db, { gitlabProjectId: repository.gitlabId, iid: 13 })).toBeUndefined();
    expect(await findMergeRequest(db, 2 ** 40)).toBeUndefined();
  });

  test('J6: nothing of a repository that is not tracked, or is unknown', async () => {
    const { db } = database;
    const { id, gitlabId } = await addRepository(db);
    expect(await upsertMergeRequest(db, mergeRequestIn(gitlabId))).toBeUndefined();
    expect(await upsertMergeRequest(db, mergeRequestIn(99_999))).toBeUndefined();
    expect(await listMergeRequests(db, { repositoryId: id })).toEqual([]);
  });

  test('J6: of a repository that is tracked no more it is not found', async () => {
    const { db } = database;
    const id = await addMergeRequest(db, repository.gitlabId);
    await sql`update repositories set tracked_at = null where id = ${repository.id}`.execute(db);
    expect(await findMergeRequest(db, id)).toBeUndefined();
    const subject = { what: 'merge_request', gitlabProjectId: repository.gitlabId, iid: 1 } as const;
    expect(await mergeRequestsAbout(db, subject)).toEqual([]);
  });

  test('nonsense is not kept, and breaks nothing: ids of another merge request, a number beyond all numbers', async () => {
    const { db } = database;
    const other = await addTrackedRepository(db);
    await addMergeRequest(db, repository.gitlabId, { gitlabId: 4_711 });
    await db.transaction().execute(async (transaction) => {
      const stranger = mergeRequestIn(other.gitlabId, { gitlabId: 4_711 });
      expect(await upsertMergeRequest(transaction, stranger)).toBeUndefined();
      const countless = mergeRequestIn(other.gitlabId, { iid: 2 ** 31 });
      expect(await upsertMergeRequest(transaction, countless)).toBeUndefined();
      expect(
        await mergeRequestsAbout(transaction, { what: 'merge_request', gitlabProjectId: 2 ** 52, iid: 2 ** 52 }),
      ).toEqual([]);
      expect(await upsertMergeRequest(transaction, mergeRequestIn(other.gitlabId))).toMatchObject({ isNew: true });
    });
  });

  test('J7: reported by many at once it is kept once, and each is told so', async () => {
    const { db } = database;
    const kept = await Promise.all(
      Array.from({ length: 8 }, () => upsertMergeRequest(db, mergeRequestIn(repository.gitlabId))),
    );
    expect(new Set(kept.map((one) => one?.id)).size).toBe(1);
    expect(kept.filter((one) => one!.isNew)).toHaveLength(1);
  });

  test('again, uses up no ids', async () => {
    const { db } = database;
    const id = await addMergeRequest(db, repository.gitlabId);
    for (let time = 0; time < 5; time++) expect(await addMergeRequest(db, repository.gitlabId)).toBe(id);
    expect(await addMergeRequest(db, repository.gitlabId, { iid: 2 })).toBe(id + 1);
  });
});

describe('a change of it', () => {
  test.each<[string, Partial<MergeRequest>, string[]]>([
    ['nothing', {}, []],
    ['its title', { title: 'Hotter still' }, []],
    ['its reviewers', { reviewers: [9] }, []],
    ['its source branch', { sourceBranch: 'other' }, ['source_branch']],
    ['the fork it comes from', { sourceGitlabProjectId: 4_000 }, ['source_branch']],
    ['the fork it comes from, which is gone', { sourceGitlabProjectId: null }, ['source_branch']],
    ['its target branch', { targetBranch: 'stable' }, ['target_branch']],
    ['draft', { isDraft: true }, ['draft']],
    ['its state', { state: 'closed' }, ['state']],
    ['two things', { isDraft: true, targetBranch: 'stable' }, ['target_branch', 'draft']],
  ])('J7: of %s', async (_, changes, changed) => {
    const { db } = database;
    const id = await addComputed();
    const kept = await upsertMergeRequest(
      db,
      mergeRequestIn(repository.gitlabId, { updatedAt: NOON + MINUTE, ...changes }),
    );
    expect(kept).toMatchObject({ id, isNew: false, isOutdated: false, changed });
    const record = await findMergeRequest(db, id);
    expect(record).toMatchObject(recorded(mergeRequestIn(repository.gitlabId, changes)));
    expect(record).toMatchObject(
      changed.length > 0 ? { revision: 1, mergeability: UNKNOWN } : { revision: 0, mergeability: CLEAN },
    );
    expect(record!.decision).toEqual({ ...APPROVED, headSha: hashOf('a') });
  });

  test('J7, J9: of its head makes the decision unknown too: it was about another commit', async () => {
    const { db } = database;
    const id = await addComputed();
    const pushed = mergeRequestIn(repository.gitlabId, { headSha: hashOf('c'), updatedAt: NOON + 1 });
    expect(await upsertMergeRequest(db, pushed)).toMatchObject({ changed: ['head'], headSha: hashOf('c') });
    expect(await findMergeRequest(db, id)).toMatchObject({ revision: 1, mergeability: UNKNOWN, decision: UNDECIDED });
  });

  test('is none where GitLab leaves something open', async () => {
    const { db } = database;
    const id = await addComputed({ reviewers: [4] });
    const vague = mergeRequestIn(repository.gitlabId, { headSha: null, reviewers: null, updatedAt: null });
    expect(await upsertMergeRequest(db, vague)).toMatchObject({ changed: [], headSha: hashOf('a') });
    expect(await findMergeRequest(db, id)).toMatchObject({ headSha: hashOf('a'), reviewers: [4], mergeability: CLEAN });
  });

  test('that is older than what we have is passed over; within one second nobody knows, and the last one counts', async () => {
    const { db } = database;
    const id = await addComputed({ updatedAt: NOON + 900, targetBranch: 'newest' });
    const earlier = mergeRequestIn(repository.gitlabId, { updatedAt: NOON - 1, targetBranch: 'older' });
    expect(await upsertMergeRequest(db, earlier)).toMatchObject({ id, isOutdated: true, changed: [] });
    expect(await findMergeRequest(db, id)).toMatchObject({ targetBranch: 'newest', mergeability: CLEAN });
    // An event tells the second only.
    const event = mergeRequestIn(repository.gitlabId, { updatedAt: NOON, targetBranch: 'stable' });
    expect(await upsertMergeRequest(db, event)).toMatchObject({
      isOutdated: false,
      isDoubtful: true,
      changed: ['target_branch'],
    });
    expect(await upsertMergeRequest(db, event)).toMatchObject({ isDoubtful: false, changed: [] });
    // And does not turn back the time.
    expect(await upsertMergeRequest(db, earlier)).toMatchObject({ isOutdated: true });
  });

  test('J7: of the same second, told by the API both times, is as clear as any; told of the same moment it is not', async () => {
    const { db } = database;
    await addComputed({ updatedAt: NOON + 500 });
    const tell = async (updatedAt: number, targetBranch: string) =>
      upsertMergeRequest(db, mergeRequestIn(repository.gitlabId, { updatedAt, targetBranch }));
    expect(await tell(NOON + 400, 'older')).toMatchObject({ isOutdated: true });
    expect(await tell(NOON + 600, 'newer')).toMatchObject({ changed: ['target_branch'], isDoubtful: false });
    expect(await tell(NOON + 600, 'other')).toMatchObject({ changed: ['target_branch'], isDoubtful: true });
    expect(await tell(NOON + 1_000, 'next')).toMatchObject({ changed: ['target_branch'], isDoubtful: false });
  });

  test('never takes a merge back', async () => {
    const { db } = database;
    const id = await addComputed({ state: 'merged' });
    const reports = ['opened', 'closed', 'locked'] as const;
    for (const state of reports) {
      const kept = await upsertMergeRequest(db, mergeRequestIn(repository.gitlabId, { state, updatedAt: NOON }));
      expect(kept).toMatchObject({ id, state: 'merged', changed: [] });
    }
    expect(await findMergeRequest(db, id)).toMatchObject({ state: 'merged', revision: 0 });
  });

  test('whatever order reports of it come in, and however often, the newest one stands', async () => {
    const { db } = database;
    const versions = ['a', 'b', 'c', 'd'].map((digit, index) =>
      mergeRequestIn(repository.gitlabId, {
        headSha: hashOf(digit),
        isDraft: index % 2 === 0,
        targetBranch: `release-${index}`,
        updatedAt: NOON + index * 1_000,
      }),
    );
    const orders = fc.shuffledSubarray([...versions, ...versions], { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(orders, async (reports) => {
        await sql`truncate merge_requests`.execute(db);
        let revisions = 0;
        for (const report of reports) {
          const kept = await upsertMergeRequest(db, report);
          if (kept!.changed.length > 0) revisions++;
        }
        const newest = reports.reduce((one, other) => (other.updatedAt! > one.updatedAt! ? other : one));
        const { headSha, isDraft, targetBranch } = newest;
        const record = await findMergeRequestByIid(db, { gitlabProjectId: repository.gitlabId, iid: 1 });
        expect(record).toMatchObject({ headSha, isDraft, targetBranch, revision: revisions });
      }),
      { numRuns: 60 },
    );
  });
});

describe('what was computed', () => {
  test('J7: is written, unless something has changed since', async () => {
    const { db } = database;
    const id = await addComputed();
    expect(await findMergeRequest(db, id)).toMatchObject({
      revision: 0,
      mergeability: CLEAN,
      decision: { ...APPROVED, headSha: hashOf('a') },
    });
    await forgetMergeability(db, [id]);
    expect(await findMergeRequest(db, id)).toMatchObject({ revision: 1, mergeability: UNKNOWN });
    expect(await writeMergeability(db, { id, revision: 0 }, CLEAN)).toBe(false);
    expect(await findMergeRequest(db, id)).toMatchObject({ revision: 1, mergeability: UNKNOWN });
    expect(await writeMergeability(db, { id, revision: 1 }, CLEAN)).toBe(true);
  });

  test('J7: of a missing branch there is no commit, and no number', async () => {
    const { db } = database;
    const id = await addMergeRequest(db, repository.gitlabId);
    const nothing = { ahead: null, behind: null, changedFiles: null, additions: null, deletions: null };
    const dirty = { state: 'dirty', mergeable: false, rebaseable: false, headSha: null, baseSha: hashOf('b') } as const;
    expect(await writeMergeability(db, { id, revision: 0 }, { ...dirty, ...nothing, at: at(1) })).toBe(true);
    expect((await findMergeRequest(db, id))!.mergeability).toEqual({ ...dirty, ...nothing, at: at(1) });
  });

  test('J9: of another head is not written, nor of one where there was none', async () => {
    const { db } = database;
    const id = await addMergeRequest(db, repository.gitlabId, { headSha: null });
    expect(await writeDecision(db, { id, headSha: hashOf('a') }, APPROVED)).toBe(false);
    const nothing = { review: null, statuses: null, at: at(1) };
    expect(await writeDecision(db, { id, headSha: null }, nothing)).toBe(true);
    expect((await findMergeRequest(db, id))!.decision).toEqual({ ...nothing, headSha: null });
    await upsertMergeRequest(db, mergeRequestIn(repository.gitlabId, { headSha: hashOf('b') }));
    expect(await writeDecision(db, { id, headSha: null }, nothing)).toBe(false);
    expect((await findMergeRequest(db, id))!.decision).toEqual(UNDECIDED);
  });

  test('J7: is forgotten for many at once, in whatever order they are named by two who do so', async () => {
    const { db } = database;
    const ids: number[] = [];
    for (let iid = 1; iid <= 30; iid++) ids.push(await addMergeRequest(db, repository.gitlabId, { iid }));
    await Promise.all([
      ...Array.from({ length: 6 }, (_, i) => forgetMergeability(db, i % 2 ? ids : [...ids].reverse())),
      forgetDecisions(db, ids),
    ]);
    const records = await listMergeRequests(db, { repositoryId: repository.id });
    expect(records.map(({ revision }) => revision)).toEqual(ids.map(() => 6));
    await forgetMergeability(db, []);
  });
});

describe('the open merge requests that something is about', () => {
  test('triggers: a branch as head, or as head or base; a commit, of a fork too', async () => {
    const { db } = database;
    const { gitlabId: project } = repository;
    const other = await addTrackedRepository(db);
    const own = await addMergeRequest(db, project, { iid: 1, sourceBranch: 'hotter', headSha: hashOf('1') });
    const into = await addMergeRequest(db, project, { iid: 2, targetBranch: 'hotter', headSha: hashOf('2') });
    const fork = { sourceBranch: 'hotter', sourceGitlabProjectId: 555 };
    const forked = await addMergeRequest(db, project, { iid: 3, ...fork, headSha: hashOf('1') });
    await addMergeRequest(db, project, { iid: 4, sourceBranch: 'hotter', state: 'closed', headSha: hashOf('1') });
    const elsewhere = await addMergeRequest(db, other.gitlabId, { sourceBranch: 'hotter', headSha: hashOf('1') });

    const branch = async (gitlabProjectId: number, as: 'head' | 'head_or_base', name = 'hotter') =>
      mergeRequestsAbout(db, { what: 'branch', gitlabProjectId, name, as });
    expect(await branch(project, 'head')).toEqual([own]);
    expect(await branch(project, 'head_or_base')).toEqual([own, into]);
    expect(await branch(project, 'head_or_base', 'Hotter')).toEqual([]);
    expect(await branch(555, 'head_or_base')).toEqual([forked]);
    expect(await branch(other.gitlabId, 'head_or_base')).toEqual([elsewhere]);

    const commit = async (gitlabProjectId: number, digit: number) =>
      mergeRequestsAbout(db, { what: 'commit', gitlabProjectId, sha: hashOf(digit) });
    expect(await commit(project, 1)).toEqual([own, forked]);
    expect(await commit(555, 1)).toEqual([forked]);
    expect(await commit(555, 2)).toEqual([]);
    expect(await commit(4_242, 1)).toEqual([]);

    const one = async (iid: number) => mergeRequestsAbout(db, { what: 'merge_request', gitlabProjectId: project, iid });
    expect([await one(1), await one(4), await one(5)]).toEqual([[own], [], []]);
  });

  test('are listed by repository, newest first', async () => {
    const { db } = database;
    for (const iid of [2, 1, 3]) await addMergeRequest(db, repository.gitlabId, { iid });
    await addMergeRequest(db, repository.gitlabId, { iid: 4, state: 'merged' });
    const iids = async (options: { onlyOpen?: boolean; limit?: number }) =>
      (await listMergeRequests(db, { repositoryId: repository.id, ...options })).map(({ iid }) => iid);
    expect(await iids({})).toEqual([4, 3, 2, 1]);
    expect(await iids({ onlyOpen: true })).toEqual([3, 2, 1]);
    expect(await iids({ limit: 2 })).toEqual([4, 3]);
  });

  test('do not have one that GitLab has no more, unless something was heard of it meanwhile', async () => {
    const { db } = database;
    const id = await addComputed();
    expect(await closeMergeRequest(db, { id, revision: 3 })).toBe(false);
    expect(await closeMergeRequest(db, { id, revision: 0 })).toBe(true);
    expect(await findMergeRequest(db, id)).toMatchObject({ state: 'closed', revision: 1, mergeability: UNKNOWN });
    expect(await closeMergeRequest(db, { id, revision: 1 })).toBe(false);
  });

  test('are found by indexes, among 20,000', async () => {
    const { db } = database;
    await sql`
      insert into merge_requests (
        repository_id, gitlab_id, iid, title, source_branch, target_branch, source_gitlab_project_id, head_sha, is_draft, state
      )
      select ${repository.id}, 1000000 + n, n, 'a title', 'branch-' || n, 'into-' || n % 1000, ${repository.gitlabId}, md5(n::text),
        false, case when n % 10 = 0 then 'opened' else 'merged' end
      from generate_series(1, 20000) as n
    `.execute(db);
    await sql`analyze merge_requests`.execute(db);
    const subject = {
      what: 'branch',
      gitlabProjectId: repository.gitlabId,
      name: 'into-10',
      as: 'head_or_base',
    } as const;
    const before = performance.now();
    for (let time = 0; time < 20; time++) expect(await mergeRequestsAbout(db, subject)).toHaveLength(20);
    expect(performance.now() - before).toBeLessThan(1_000);
  });
});
